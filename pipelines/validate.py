"""Ingested tables → `validation.json` and Data Docs; a broken expectation stops the pipeline."""

import shutil

import pandas as pd

from pipelines import artifacts, stage
from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_folder, write_json
from tidemill.core.params import read_block, read_system
from tidemill.core.tables import SPLITS
from tidemill.tasks.common import checks
from tidemill.validation.data_docs import write_data_docs
from tidemill.validation.params import Validate
from tidemill.validation.suites import validate


@stage
def main(name: str) -> None:
    """Write `validation.json` and `docs/`; those of broken tables go to another folder, where no later stage looks."""
    system = read_system(name)
    params = read_block(system, name, "validate", Validate)
    tables = {split: pd.read_parquet(artifacts(name, "ingest") / f"{split}.parquet") for split in SPLITS}
    expectations = checks.of(system["task"]).expectations(params, tables)
    validation = validate(tables, [*expectations, *params.expectations])

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
