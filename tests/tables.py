"""Tables that scikit-learn brings, as files of a project, and systems of them."""

from pathlib import Path
from typing import Any

import pandas as pd
from sklearn import datasets

WINE: dict[str, Any] = {
    "task": "table_classification",
    "source": {"path": "raw/wine.csv", "format": "csv"},
    "ingest": {"valid": 0.2, "test": 0.2},
    "validate": {},
    "tokenize": {},
    "model": {"name": "boosting", "leaves": [4], "trees": 200, "rate": 0.1},
    "training": {},
    "evaluate": {"resamples": 100},
    "gates": {"thresholds": {"accuracy": 0.8}},
}
DIABETES: dict[str, Any] = WINE | {
    "task": "table_regression",
    "source": {"path": "raw/diabetes.csv", "format": "csv", "columns": {"target": "progression"}},
    "model": {"name": "linear"},
    "gates": {"thresholds": {"r2": 0.2, "mae": 60}, "metric": "mae"},
}


def write(path: Path, name: str, target: str = "label") -> pd.DataFrame:
    """Write one of scikit-learn's tables as CSV, its classes by name; return it."""
    found = getattr(datasets, f"load_{name}")(as_frame=True)
    table: pd.DataFrame = found.frame.rename(columns={"target": target})
    if hasattr(found, "target_names") and name != "digits":
        table[target] = [str(found.target_names[number]) for number in table[target]]
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)
    return table
