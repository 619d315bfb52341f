"""Ingested tables → `validation.json` and Data Docs; a broken expectation stops the pipeline."""

import shutil

import pandas as pd

from pipelines import artifacts, stage
from tidemill import tasks
from tidemill.config import load_system
from tidemill.data.data_docs import write_data_docs
from tidemill.data.expectations import table_expectations
from tidemill.data.splitting import SPLITS
from tidemill.data.validation import validate
from tidemill.errors import TidemillError
from tidemill.files import finished_folder, write_json


@stage
def main(name: str) -> None:
    """Write `validation.json` and `docs/`; those of broken tables go beside, where no later stage looks."""
    system = load_system(name)
    task = tasks.load(system.task)
    tables = {split: pd.read_parquet(artifacts(name, "ingest") / f"{split}.parquet") for split in SPLITS}
    defaults = table_expectations(task.INPUTS, system.validate_) + task.expectations(system.validate_, tables)
    validation = validate(tables, [*defaults, *system.validate_.expectations])

    failed = artifacts(name, "validate.failed")
    shutil.rmtree(failed, ignore_errors=True)
    with finished_folder(artifacts(name, "validate") if validation.success else failed) as folder:
        write_json(folder / "validation.json", validation.summary)
        write_data_docs(folder / "docs", validation.results)
    if validation.broken:
        print("\n".join(validation.broken))
        raise TidemillError(
            f"broken: {len(validation.broken)} of {validation.checked} expectations, the first {validation.broken[0]}; "
            f"the pages are in {failed / 'docs' / 'index.html'}"
        )
    print(f"{name}: all {validation.checked} expectations hold for {validation.summary['rows']} rows")


if __name__ == "__main__":
    main()
