"""What is measured alike for every task: by metric, class, slice and baseline."""

from types import SimpleNamespace

import pandas as pd
import pytest

from tests.unit.evaluation.examples import PARAMS, predictions, rows_of
from tidemill.evaluation import measure
from tidemill.evaluation.measure import Measure
from tidemill.evaluation.results import differences

LABELS = ["no", "yes"]
MEASURE = Measure("text_classification", {"labels": LABELS}, PARAMS)


@pytest.fixture
def rows() -> pd.DataFrame:
    return rows_of(["x" * length for length in range(1, 301)], LABELS)


def test_results_are_by_metric_class_slice_and_baseline(rows: pd.DataFrame) -> None:
    ours, worse = predictions(rows, LABELS, right=0.9), predictions(rows, LABELS, right=0.1)
    found = MEASURE.results(rows, ours, {"linear": worse, "same": ours})
    accuracy = (ours["prediction"] == ours["label"]).mean()
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(accuracy, abs=1e-6)
    assert found["metrics"]["accuracy"]["low"] < accuracy < found["metrics"]["accuracy"]["high"]
    assert not [name for name in found["metrics"] if "/" in name]
    assert {name: values["support"] for name, values in found["per_class"].items()} == {"no": 150, "yes": 150}
    assert found["per_class"]["yes"]["recall"]["low"] < found["per_class"]["yes"]["recall"]["high"]
    assert found["difference_to_linear"]["low"] > 0
    assert found["difference_to_same"] == {"value": 0, "low": 0, "high": 0}
    gap = found["metrics"]["accuracy"]["value"] - found["baselines"]["linear"]["accuracy"]["value"]
    assert found["difference_to_linear"]["value"] == pytest.approx(gap, abs=2e-6)


def test_a_baseline_without_the_main_metric_is_not_compared() -> None:
    texts = pd.DataFrame({"id": [f"{n:016x}" for n in range(40)], "text": ["some text"] * 40, "label": None})
    ours = texts[["id", "label"]].assign(tokens=2, bytes=9, nll=6.0)
    measure = Measure("text_generation", {}, PARAMS)
    measure.scoring = SimpleNamespace(MAIN_METRIC="perplexity")  # of a compressor no tokens are known
    baselines = {"other": ours.assign(nll=8.0), "silent": ours.assign(tokens=float("nan"))}
    measured = measure.results(texts, ours.assign(loss=1.0), baselines)
    assert set(measured["baselines"]) == {"other", "silent"}
    assert differences(measured).keys() == {"other"} and "difference_to_silent" not in measured


def test_slices_are_thirds_by_length_and_hold_every_row_once(rows: pd.DataFrame) -> None:
    predicted = predictions(rows, LABELS, right=1).assign(prediction=rows["label"])
    predicted.loc[rows["text"].str.len() > 200, "prediction"] = "no"
    slices = MEASURE.results(rows, predicted, {})["slices"]
    assert [entry["slice"] for entry in slices] == [
        "text of up to 100 characters",
        "text of 101 to 200 characters",
        "text of more than 200 characters",
    ]
    assert [entry["rows"] for entry in slices] == [100, 100, 100]
    assert [entry["accuracy"]["value"] for entry in slices] == [1, 1, 0.5]


def test_texts_of_one_length_make_one_slice() -> None:
    rows = rows_of(["same"] * 90, LABELS)
    slices = MEASURE.results(rows, predictions(rows, LABELS, right=0.5), {})["slices"]
    assert [(entry["slice"], entry["rows"]) for entry in slices] == [("text of up to 4 characters", 90)]


def test_the_test_set_is_known_by_its_rows_and_labels(rows: pd.DataFrame) -> None:
    named = measure.test_set_sha256(rows)
    assert named == measure.test_set_sha256(rows.drop(columns=["text", "row"])), "the id stands for the content"
    assert named != measure.test_set_sha256(rows[:-1])
    assert named != measure.test_set_sha256(rows.assign(label=rows["label"][::-1].to_list()))
