"""Growing trees until those of the validation rows are no better, on one thread: the same trees each time."""

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tidemill.models.boosting import Params
from tidemill.models.common.choices import HUBER, Loss
from tidemill.tokens.shards import MemoryShards, Shards

if TYPE_CHECKING:
    from lightgbm import Dataset

    from tidemill.models.boosting.network import Trees

Rows = Shards | MemoryShards
OBJECTIVES: dict[Loss, str] = {"squared": "regression", "absolute": "regression_l1", "huber": "huber"}
"""What LightGBM calls the losses of a number."""


def solve(
    network: "Trees", train: Rows, valid: Rows, params: Params, loss: Loss, seed: int
) -> Iterator[dict[str, float]]:
    """Put the trees of each size into the network, one size after another.

    Yields:
        The most leaves of a tree, and the trees of each output.
    """
    import lightgbm

    objective = _objective(train, loss, network.outputs)
    fitted = _dataset(train)
    measured = fitted.create_valid(*_rows(valid))
    for leaves in params.leaves:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", ".*Reference Dataset.*"
            )  # validation rows are binned as those of training
            found = lightgbm.train(
                {**objective, **_params(params, leaves, seed)},
                fitted,
                num_boost_round=params.trees,
                valid_sets=[measured],
                callbacks=[lightgbm.early_stopping(params.patience, verbose=False)],
            )
        network.put(found, found.best_iteration)
        yield {"leaves": float(leaves), "trees": float(found.best_iteration)}


def _objective(rows: Rows, loss: Loss, outputs: int) -> dict[str, Any]:
    if "target" in rows.columns:
        return {"objective": OBJECTIVES[loss], "alpha": HUBER}
    return {"objective": "binary"} if outputs == 1 else {"objective": "multiclass", "num_class": outputs}


def _params(params: Params, leaves: int, seed: int) -> dict[str, Any]:
    return {
        "num_leaves": leaves,
        "learning_rate": params.rate,
        "min_data_in_leaf": params.rows,
        "min_data_per_group": params.rows,
        "feature_fraction": params.columns,
        "bagging_fraction": params.sample,
        "bagging_freq": 1,
        "lambda_l2": params.penalty,
        "seed": seed,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }


def _dataset(rows: Rows) -> "Dataset":
    from lightgbm import Dataset

    values, target = _rows(rows)
    categories = _part(rows, "categories").shape[1]
    places = list(range(values.shape[1] - categories, values.shape[1]))
    binning = {"min_data_in_bin": 1, "feature_pre_filter": False, "verbosity": -1, "num_threads": 1}
    return Dataset(values, target, categorical_feature=places, params=binning)


def _rows(rows: Rows) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return the columns (B, N + C), and the targets or labels (B,)."""
    from tidemill.models.boosting.network import table

    target = np.asarray(rows.columns["target" if "target" in rows.columns else "labels"])
    return table(_part(rows, "numbers"), _part(rows, "categories")), target


def _part(rows: Rows, name: str) -> NDArray[Any]:
    return np.asarray(rows.columns[name]) if name in rows.columns else np.zeros((len(rows), 0))
