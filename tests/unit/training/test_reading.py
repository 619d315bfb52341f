"""How logits are read: the temperature beside scikit-learn's, thresholds beside a search of all of them."""

from types import SimpleNamespace
from typing import Any, Literal, cast

import numpy as np
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, precision_score, recall_score

from tidemill.core.errors import TidemillError
from tidemill.models.common.calibration import calibrated
from tidemill.tasks.common import learning
from tidemill.tasks.common.prediction import likeliest_labels
from tidemill.tasks.multilabel_classification import prediction as multilabel_prediction
from tidemill.tokens.shards import MemoryShards
from tidemill.training import reading
from tidemill.training.params import Threshold, Training, completed


@pytest.mark.parametrize("classes", [2, 4])
def test_the_temperature_is_that_of_scikit_learn(classes: int) -> None:
    features, labels = make_classification(3000, 12, n_informative=8, n_classes=classes, flip_y=0.2, random_state=0)
    sharp = LogisticRegression(C=1e6).fit(features[:60], labels[:60])  # few rows: far too sure of itself
    held_out, known = features[60:], labels[60:]
    theirs = CalibratedClassifierCV(FrozenEstimator(sharp), method="temperature").fit(held_out, known)
    scores = sharp.decision_function(held_out).reshape(len(held_out), -1)
    ours = scores * calibrated(scores, known)
    chances = reading._chances(ours, known)
    np.testing.assert_allclose(chances, theirs.predict_proba(held_out), atol=0.01)
    assert calibrated(scores, known) < 0.8


@pytest.mark.parametrize("metric", ["f1", "recall", "precision"])
@pytest.mark.parametrize("ties", [False, True])
def test_a_threshold_is_the_best_of_all(metric: Literal["f1", "recall", "precision"], ties: bool) -> None:
    for seed in range(20):
        generator = np.random.default_rng(seed)
        belongs = generator.random(60) < 0.3
        chances = np.clip(belongs * 0.3 + generator.random(60) * 0.7, 0, 1)
        chances = chances.round(1) if ties else chances
        params = Threshold(metric=metric, least=None if metric == "f1" else 0.6)
        threshold, kept = reading.best_threshold(chances, belongs, params)
        assert _value(chances >= threshold, belongs, params) == max(
            _value(chances >= one, belongs, params) for one in np.unique(chances)
        )
        assert kept == (metric == "f1" or _value(chances >= threshold, belongs, params) >= 0)


def _value(predicted: Any, belongs: Any, params: Threshold) -> float:
    """The metric of a threshold by scikit-learn; below 0, by how much it misses what must be kept."""
    measures = {"f1": f1_score, "recall": recall_score, "precision": precision_score}
    other = {"f1": f1_score, "recall": precision_score, "precision": recall_score}[params.metric]
    short = other(belongs, predicted) - (params.least or 0.0)
    return float(short if short < 0 else measures[params.metric](belongs, predicted))


def test_a_floor_that_no_threshold_keeps_is_told() -> None:
    chances, belongs = np.array([0.9, 0.8, 0.7, 0.6]), np.array([False, True, False, True])
    threshold, kept = reading.best_threshold(chances, belongs, Threshold(metric="recall", least=0.9))
    assert not kept and threshold < 0.6, "half of the rows are right at best, and all of the label are found there"


@pytest.mark.parametrize(
    ("threshold", "labels", "said"),
    [
        (Threshold(), ["a", "b", "c"], "one decides between two labels"),
        (Threshold(label="z"), ["a", "b"], "no label 'z'; there are a, b"),
    ],
)
def test_what_cannot_be_decided_is_refused_before_training(threshold: Threshold, labels: list[str], said: str) -> None:
    rows = MemoryShards({"labels": np.zeros(3, np.int32)})
    with pytest.raises(TidemillError, match=said):
        reading.check(Training(threshold=threshold), {"labels": labels}, rows)
    with pytest.raises(TidemillError, match=r"raise ingest\.valid"):
        reading.check(Training(calibrate=True), {"labels": labels}, MemoryShards({"labels": np.zeros(0, np.int32)}))


def test_a_task_without_labels_is_refused_before_the_first_stage() -> None:
    with pytest.raises(TidemillError, match=r"systems\.poems\.training\.calibrate: this task gives no labels"):
        completed(Training(calibrate=True), learning.of("text_generation"), False, "systems.poems")


@pytest.mark.parametrize("wrong", [{"metric": "recall"}, {"metric": "f1", "least": 0.5}])
def test_what_must_be_kept_goes_with_recall_and_precision(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="least goes with recall"):
        Threshold(**wrong)


@pytest.mark.parametrize("several", [False, True])
def test_labels_in_question_get_a_threshold_and_predictions_follow_it(several: bool) -> None:
    generator = np.random.default_rng(0)
    belongs = generator.random((80, 3 if several else 1)) < 0.3
    scores = (belongs * 2 - 3 + generator.normal(0, 1, belongs.shape)).astype(np.float32)
    labels = belongs.astype(np.uint8) if several else belongs[:, 0].astype(np.int32)
    rows = MemoryShards({"scores": scores, "labels": labels})
    spec: Any = {"labels": ["a", "b", "c"] if several else ["no", "yes"], "outputs": belongs.shape[1]}
    task: Any = SimpleNamespace(logits=lambda network, batch: batch["scores"])
    found = reading.found(torch.nn.Identity(), task, rows, Training(threshold=Threshold()), spec)
    assert found.keys() == {"thresholds"} and [*found["thresholds"]] == (spec["labels"] if several else ["yes"])
    predicted = _predicted(torch.from_numpy(scores), spec | found, several)
    plain = _predicted(torch.from_numpy(scores), spec, several)
    for place in range(belongs.shape[1]):
        chances = 1 / (1 + np.exp(-scores[:, place].astype(np.float64)))
        best = max(f1_score(belongs[:, place], chances >= one) for one in chances)
        assert f1_score(belongs[:, place], predicted[:, place]) == best
        assert f1_score(belongs[:, place], plain[:, place]) < best


def _predicted(logits: torch.Tensor, spec: Any, several: bool) -> np.ndarray:
    """Which labels the task's own prediction gives, of two labels whether it is the second."""
    if not several:
        return np.array([[one == "yes"] for one in likeliest_labels(logits, spec)["prediction"]])
    batch = {"tokens": logits, "tokens_length": logits}
    sets = multilabel_prediction.outputs(cast(Any, lambda tokens, _: tokens), batch, spec)["predicted"]
    return np.array([[label in one for label in spec["labels"]] for one in sets])
