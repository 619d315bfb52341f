"""The metrics of a classifier agree with scikit-learn's and torchmetrics', for any weights of the rows."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.random import Generator
from sklearn import metrics as reference
from torchmetrics.functional.classification import multiclass_calibration_error, multiclass_f1_score

from tidemill.core.errors import TidemillError
from tidemill.tasks.common import baselines
from tidemill.tasks.text_classification import scoring

LABELS = ["bird", "cat", "dog", "fish"]
SPEC = {"labels": LABELS}


@pytest.fixture
def rng() -> Generator:
    return np.random.default_rng(7)


def predictions(rng: Generator, rows: int = 400) -> pd.DataFrame:
    """Random predictions of a model that is right about half of the time."""
    actual = rng.integers(len(LABELS), size=rows)
    scores = rng.normal(size=(rows, len(LABELS)))
    scores[np.arange(rows), actual] += 1.2
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return pd.DataFrame(
        {
            "id": [f"row{number}" for number in range(rows)],
            "label": np.array(LABELS)[actual],
            "prediction": np.array(LABELS)[chances.argmax(axis=1)],
            "confidence": chances.max(axis=1),
            "probabilities": list(chances),
        }
    )


def measured(table: pd.DataFrame, weights: np.ndarray | None = None) -> dict[str, float]:
    ones = np.ones(len(table), dtype=np.int64)
    return scoring.metrics(table, SPEC)(ones if weights is None else weights)


@pytest.mark.parametrize("weighted", [False, True])
def test_equal_to_scikit_learn(rng: Generator, weighted: bool) -> None:
    table = predictions(rng)
    weights = rng.integers(0, 4, size=len(table)) if weighted else np.ones(len(table), dtype=np.int64)
    found = measured(table, weights)
    actual, predicted = table["label"], table["prediction"]
    macro = reference.precision_recall_fscore_support(actual, predicted, average="macro", sample_weight=weights)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(actual, predicted, sample_weight=weights))
    assert [found["precision"], found["recall"], found["f1"]] == pytest.approx(macro[:3])
    loss = reference.log_loss(actual, np.stack(table["probabilities"]), labels=LABELS, sample_weight=weights)
    assert found["log_loss"] == pytest.approx(loss)
    each = reference.precision_recall_fscore_support(
        actual, predicted, labels=LABELS, average=None, sample_weight=weights
    )
    for name, values in zip(("precision", "recall", "f1"), each, strict=False):
        assert [found[f"{name}/{label}"] for label in LABELS] == pytest.approx(values)
    assert found["lowest_recall"] == pytest.approx(each[1].min())


def test_equal_to_torchmetrics(rng: Generator) -> None:
    table = predictions(rng)
    chances = torch.tensor(np.stack(table["probabilities"]))
    actual = torch.tensor([LABELS.index(label) for label in table["label"]])
    error = multiclass_calibration_error(chances, actual, num_classes=4, n_bins=15, norm="l1")
    found = measured(table)
    assert found["calibration_error"] == pytest.approx(float(error), abs=1e-6)
    assert found["f1"] == pytest.approx(float(multiclass_f1_score(chances, actual, num_classes=4)), abs=1e-6)


def test_a_weight_counts_a_row_as_often(rng: Generator) -> None:
    table = predictions(rng, rows=60)
    weights = rng.integers(0, 3, size=len(table))
    repeated = table.loc[table.index.repeat(weights)].reset_index(drop=True)
    assert measured(table, weights) == pytest.approx(measured(repeated), nan_ok=True)


def test_a_class_never_predicted_has_no_precision_and_counts_in_the_mean(rng: Generator) -> None:
    table = predictions(rng).assign(prediction="cat")
    found = measured(table)
    assert (found["precision/dog"], found["recall/dog"], found["f1/dog"]) == (0, 0, 0)
    assert found["recall"] == pytest.approx(0.25)


def test_a_class_that_does_not_occur_counts_nowhere(rng: Generator) -> None:
    table = predictions(rng)
    table = table[(table["label"] != "fish") & (table["prediction"] != "fish")]
    found = measured(table)
    assert np.isnan(found["f1/fish"])
    assert found["f1"] == pytest.approx(reference.f1_score(table["label"], table["prediction"], average="macro"))


def test_a_single_row() -> None:
    table = predictions(np.random.default_rng(0), rows=1).assign(label="dog", prediction="dog", confidence=1.0)
    found = measured(table)
    assert (found["accuracy"], found["f1"], found["calibration_error"]) == (1, 1, 0)


def test_the_calibration_error_of_a_coin_that_claims_to_know() -> None:
    table = pd.DataFrame({"label": ["cat", "dog"], "prediction": ["cat", "cat"], "confidence": [1.0, 1.0]})
    found = measured(table)
    assert found["calibration_error"] == 0.5
    assert "log_loss" not in found, "without probabilities there is none"


def test_the_loss_of_a_row_that_was_given_no_chance_is_finite() -> None:
    row = {"label": ["dog"], "prediction": ["cat"], "confidence": [1.0], "probabilities": [np.array([0.0, 1, 0, 0])]}
    assert 30 < scoring.score(pd.DataFrame(row), SPEC)["loss"][0] < 40


def test_a_label_training_never_saw_is_named() -> None:
    table = predictions(np.random.default_rng(0), rows=3)
    table.loc[1, "label"] = "wolf"
    with pytest.raises(TidemillError, match=r"row1.*'wolf'"):
        measured(table)


def test_plots_hold_every_row(rng: Generator) -> None:
    table = predictions(rng)
    plots = scoring.plots(table, SPEC)
    assert len(plots["confusion"]) == plots["calibration"]["rows"].sum() == len(table)
    gaps = plots["calibration"].eval("abs(confidence - accuracy) * rows").sum() / len(table)
    assert gaps == pytest.approx(measured(table)["calibration_error"])


def texts(label: str, words: list[str], rng: Generator, rows: int) -> pd.DataFrame:
    drawn = [" ".join(rng.choice(words, size=6)) for _ in range(rows)]
    return pd.DataFrame({"id": [f"{label}{n}" for n in range(rows)], "text": drawn, "label": label})


@pytest.mark.parametrize("words", [["good", "fine", "bad"], ["好", "很", "坏"], ["😀", "🎉", "😡"]])
def test_the_linear_baseline_learns_words_characters_and_signs(rng: Generator, words: list[str]) -> None:
    rows = pd.concat([texts("pos", words[:2], rng, 80), texts("neg", words[1:], rng, 80)], ignore_index=True)
    train, test = rows[::2], rows[1::2]
    found = baselines.linear_text(train, test, {"labels": ["neg", "pos"]})
    assert (found["prediction"] == test["label"].to_numpy()).mean() > 0.9
    assert found["id"].to_list() == test["id"].to_list()
    assert np.allclose(np.stack(found["probabilities"]).sum(axis=1), 1)


def test_the_linear_baseline_of_pictures_learns_brightness(rng: Generator) -> None:
    labels = np.array(["dark", "light"] * 50)
    pixels = rng.integers(0, 100, size=(100, 4, 4, 1)) + 100 * (labels == "light")[:, None, None, None]
    rows = pd.DataFrame({"id": labels, "label": labels, "pixels": list(pixels.astype(np.uint8))})
    found = baselines.linear_pixels(
        rows[:60], rows[60:], {"labels": ["dark", "light"]}, lambda table: np.stack(table["pixels"])
    )
    assert (found["prediction"] == rows["label"][60:]).all()


def test_the_majority_baseline_knows_the_shares_of_training() -> None:
    train = pd.DataFrame({"id": list("abcd"), "label": ["no", "yes", "no", "no"]})
    found = baselines.majority(train, train[1:2], {"labels": ["no", "yes"]})
    assert found["prediction"].to_list() == ["no"]
    assert found["confidence"].to_list() == [0.75]
