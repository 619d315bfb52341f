"""Numbers as targets: losses as torch has them, metrics as scikit-learn and torchmetrics, rows that cannot be used."""

import numpy as np
import pandas as pd
import pytest
import torch
import torchmetrics
from sklearn import metrics

from tidemill.core.errors import TidemillError
from tidemill.core.intervals import Bootstrap, intervals
from tidemill.models.common.choices import HUBER
from tidemill.tasks.common import learning, scoring
from tidemill.tasks.table_classification import rows as classes
from tidemill.tasks.table_regression import rows as numbers

SPEC = {"target": {"mean": 10.0, "deviation": 4.0}}
GENERATOR = np.random.default_rng(0)
ACTUAL = GENERATOR.normal(10, 4, 200)
PREDICTED = ACTUAL + GENERATOR.standard_t(3, 200)
TABLE = pd.DataFrame({"target": ACTUAL, "prediction": PREDICTED})


@pytest.mark.parametrize(
    ("loss", "theirs"),
    [
        (None, torch.nn.MSELoss()),
        ("squared", torch.nn.MSELoss()),
        ("absolute", torch.nn.L1Loss()),
        ("huber", torch.nn.HuberLoss(delta=HUBER)),
    ],
)
def test_the_losses(loss: str | None, theirs: torch.nn.Module) -> None:
    step = learning.chosen(learning.of("table_regression"), loss)  # type: ignore[arg-type]
    batch = {"numbers": torch.tensor([[0.0], [1.5], [4.0]]), "target": torch.tensor([0.2, -1.0, 0.0])}
    found, further = step(lambda columns, categories: columns, batch, 0.0)  # type: ignore[arg-type]
    assert found == theirs(batch["numbers"][:, 0], batch["target"])
    assert further["absolute_error"] == torch.nn.L1Loss()(batch["numbers"][:, 0], batch["target"])


def test_labels_have_no_loss_of_numbers() -> None:
    with pytest.raises(TidemillError, match=r"training.loss: huber is a loss of numbers"):
        learning.chosen(learning.of("table_classification"), "huber")


def test_the_metrics_and_their_intervals() -> None:
    measure = scoring.of("table_regression").metrics(TABLE, SPEC)  # type: ignore[arg-type]
    weights = GENERATOR.integers(0, 4, 200)
    found = measure(weights)
    assert found["r2"] == pytest.approx(metrics.r2_score(ACTUAL, PREDICTED, sample_weight=weights))
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(ACTUAL, PREDICTED, sample_weight=weights))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(ACTUAL, PREDICTED, sample_weight=weights))
    plain = measure(np.ones(200, np.int64))
    pair = torch.from_numpy(PREDICTED), torch.from_numpy(ACTUAL)
    assert plain["r2"] == pytest.approx(float(torchmetrics.R2Score()(*pair)), abs=1e-6)
    assert plain["rmse"] == pytest.approx(float(torchmetrics.MeanSquaredError(squared=False)(*pair)), abs=1e-6)
    drawn = intervals(measure, 200, Bootstrap())
    error = np.abs(PREDICTED - ACTUAL)
    half = 1.96 * error.std() / np.sqrt(200)
    assert drawn["mae"]["high"] - drawn["mae"]["low"] == pytest.approx(2 * half, rel=0.15)
    assert np.isnan(scoring.number_metrics(TABLE.assign(target=1.0), SPEC)(weights)["r2"])  # type: ignore[arg-type]


def test_errors_are_better_the_lower_they_are() -> None:
    found = {name: scoring.sign("table_regression", name) for name in ("r2", "rmse", "mae")}
    assert found == {"r2": 1, "rmse": -1, "mae": -1}
    assert scoring.sign("text_classification", "accuracy") == scoring.sign("text_classification", "matthews") == 1
    assert scoring.sign("text_classification", "log_loss") == scoring.sign("text_generation", "perplexity") == -1
    assert scoring.sign("text_classification", "probe.white_space") == 1


def table(**columns: object) -> pd.DataFrame:
    found = pd.DataFrame(columns)
    given = {"row": [f"t.csv:{number}" for number in found.index], "split": None, "reason": None}
    return found.assign(**given) if "label" in found else found.assign(label=None, **given)


def test_a_row_without_a_number_gets_a_reason() -> None:
    targets = [str(number) for number in range(40)] + ["", "much"]
    cleaned = numbers.clean(table(target=targets, size=["1"] * 41 + ["2"], colour=["red", "blue"] * 21))
    assert cleaned["reason"].dropna().tolist() == ["no target", "the target 'much' is no number"]
    assert cleaned["target"].dtype == cleaned["size"].dtype == float
    cleaned = numbers.clean(table(target=range(42), size=["1"] * 41 + ["wide"]))
    assert cleaned["reason"].dropna().tolist() == ["column size: 'wide' is no number"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"price": [1, 2], "size": [1, 2]}, "no column is called target.*price, size"),
        ({"target": ["a", "b", "c"], "size": [1, 2, 3]}, "the target is to be a number, but it is 'a'"),
        ({"target": [3, 3, 3], "size": [1, 2, 3]}, "the target of all 3 rows is the same"),
        ({"target": [1, 2, 3]}, "there is no column beside the target"),
        ({"target": [1, 2, 3], "tags": [["a"], [], []]}, "column 'tags' holds lists or bytes.*source.drop"),
    ],
)
def test_a_table_that_says_nothing_is_one_line(columns: dict[str, list[object]], message: str) -> None:
    with pytest.raises(TidemillError, match=message):
        numbers.clean(table(**columns))
    if "label" not in columns:
        with pytest.raises(TidemillError, match="no row has a label"):
            classes.clean(table(size=[1, 2]))


def test_rows_alike_in_all_columns_are_two_examples_of_one_split_where_their_targets_differ() -> None:
    for part, target in ((numbers, "target"), (classes, "label")):
        cleaned = part.clean(table(**{target: ["1", "2", "1", "2", "1"], "size": [5, 5, 6, 7, 5], "extra": "x"}))
        content, group = part.content(cleaned), part.group(cleaned)
        assert content.nunique() == 4 and group.nunique() == 3 and group[0] == group[1]
