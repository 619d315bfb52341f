"""Raw rows → cleaned, deduplicated, split tables, and the rejected rows with their reasons."""

import pandas as pd

from pipelines import artifacts, stage
from tidemill import tasks
from tidemill.config import load_system
from tidemill.data.formats import read_rows
from tidemill.data.splitting import SPLITS, identified, placed, profile, without_copies
from tidemill.errors import TidemillError
from tidemill.files import finished_folder, write_json


@stage
def main(name: str) -> None:
    """Write `train|valid|test.parquet`, `rejected.parquet` and `profile.json`."""
    system = load_system(name)
    task = tasks.load(system.task)
    rows = read_rows(system.source)
    missing = [column for column in task.INPUTS if column not in rows]
    if missing:
        raise TidemillError(
            f"systems.{name}.source: {system.source.path} has no column {missing[0]!r}, which {system.task} needs; "
            f"it has {', '.join(rows.columns)}: name theirs in source.columns"
        )
    rows = task.clean(rows)
    rows = without_copies(identified(rows, task.content(rows)))
    if system.ingest.near_duplicates is not None:
        usable = rows[rows["reason"].isna()]
        rows = without_copies(rows, task.near_keys(usable, system.ingest.near_duplicates))
    usable = rows[rows["reason"].isna()]
    group = task.group(usable) if hasattr(task, "group") else None
    kept = placed(usable, system.ingest, group).drop(columns=["reason", "kept"])
    rejected = rows[rows["reason"].notna()]
    _write(name, kept, rejected)


def _write(name: str, kept: pd.DataFrame, rejected: pd.DataFrame) -> None:
    with finished_folder(artifacts(name, "ingest")) as folder:
        for split in SPLITS:
            table = kept[kept["split"] == split].drop(columns="split")
            table.to_parquet(folder / f"{split}.parquet", index=False)
        rejected.to_parquet(folder / "rejected.parquet", index=False)
        facts = profile(kept, rejected)
        write_json(folder / "profile.json", facts)
    print(f"{name}: {len(kept)} rows kept ({facts['rows']}), {len(rejected)} rejected ({facts['rejected']})")


if __name__ == "__main__":
    main()
