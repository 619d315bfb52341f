"""The folds of a system → its metrics with their spread, its out-of-fold predictions, and a report."""

from pathlib import Path

import pandas as pd

from pipelines import artifacts, stage
from tidemill.core.files import finished_folder, read_json, write_json
from tidemill.core.params import read_system
from tidemill.core.tables import read_table
from tidemill.evaluation import cross_validation
from tidemill.rows.params import read_cross_validation
from tidemill.tasks.common import scoring


@stage
def main(name: str) -> None:
    """Write `metrics.json`, `predictions.parquet` and `report.html`."""
    task: str = read_system(name)["task"]
    folds = {number: Path("artifacts/folds") / name / str(number) for number in read_cross_validation().folds}
    spread = cross_validation.spread({number: read_json(folder / "metrics.json") for number, folder in folds.items()})
    tables = [read_table(folder / "predictions.parquet").assign(fold=number) for number, folder in folds.items()]
    predictions = pd.concat(tables, ignore_index=True).sort_values("id", ignore_index=True)
    with finished_folder(artifacts(name, "cross_validate")) as folder:
        write_json(folder / "metrics.json", spread)
        predictions.to_parquet(folder / "predictions.parquet", index=False)
        page = cross_validation.render(name, spread, predictions["fold"], scoring.meanings(task))
        (folder / "report.html").write_text(page, encoding="utf-8")
    main_metric = scoring.of(task).MAIN_METRIC
    found = spread[main_metric]
    print(f"{name}: {main_metric} {found['mean']:.4f} ± {found['deviation']:.4f} over {len(folds)} folds")


if __name__ == "__main__":
    main()
