"""Raw rows → cleaned, deduplicated, split tables, and the rejected rows with their reasons."""

import pandas as pd

from pipelines import artifacts, stage
from tidemill.core import plugins
from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_folder, write_json
from tidemill.core.params import checked, read_block, read_system
from tidemill.core.tables import SPLITS
from tidemill.formats.common.source import Source, read_rows
from tidemill.rows import forgotten
from tidemill.rows.cleaning import ingested
from tidemill.rows.params import Ingest
from tidemill.rows.splitting import profile
from tidemill.tasks.common import rows as task_rows


@stage
def main(name: str) -> None:
    """Write `train|valid|test.parquet`, `rejected.parquet` and `profile.json`."""
    system = read_system(name)
    source, params = _source(name, system), read_block(system, name, "ingest", Ingest)
    task = task_rows.of(system["task"])
    rows = read_rows(source)
    missing = [column for column in task.INPUTS if column not in rows]
    if missing:
        raise TidemillError(
            f"systems.{name}.source: {source.path} has no column {missing[0]!r}, which {system['task']} needs; "
            f"it has {', '.join(rows.columns)}: name theirs in source.columns"
        )
    _write(name, *ingested(rows, task, params, forgotten.read(name, params.forgotten)))


def _source(name: str, system: dict[str, object]) -> Source:
    source = read_block(system, name, "source", Source)
    options = plugins.load("formats", source.format).Options
    return source.model_copy(update={"options": checked(options, source.options, f"systems.{name}.source.options")})


def _write(name: str, kept: pd.DataFrame, rejected: pd.DataFrame) -> None:
    with finished_folder(artifacts(name, "ingest")) as folder:
        for split in SPLITS:
            table = kept[kept["split"] == split].drop(columns="split")
            table.to_parquet(folder / f"{split}.parquet", index=False)
        rejected.to_parquet(folder / "rejected.parquet", index=False)
        found = profile(kept, rejected)
        write_json(folder / "profile.json", found)
    print(f"{name}: {len(kept)} rows kept ({found['rows']}), {len(rejected)} rejected ({found['rejected']})")


if __name__ == "__main__":
    main()
