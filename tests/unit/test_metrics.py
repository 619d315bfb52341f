"""Metrics of `tidemill/metrics/` beside scikit-learn's, and for which tasks they are measured."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import matthews_corrcoef

from tidemill.metrics import matthews
from tidemill.tasks.common import scoring


@pytest.mark.parametrize("classes", [2, 5])
def test_matthews_is_that_of_scikit_learn(classes: int) -> None:
    generator = np.random.default_rng(classes)
    labels = [f"class {number}" for number in range(classes)]
    actual = generator.choice(labels, 300)
    predicted = np.where(generator.random(300) < 0.6, actual, generator.choice(labels, 300))
    weights = generator.integers(0, 4, 300)
    measure = matthews.measure(pd.DataFrame({"label": actual, "prediction": predicted}), {"labels": labels})
    expected = matthews_corrcoef(actual, predicted, sample_weight=weights)
    assert measure(weights) == pytest.approx(expected, abs=1e-12)


def test_matthews_of_a_constant_prediction_is_zero() -> None:
    table = pd.DataFrame({"label": ["a", "b"], "prediction": ["a", "a"]})
    assert matthews.measure(table, {"labels": ["a", "b"]})(np.ones(2, dtype=np.int64)) == 0


def test_a_further_metric_is_measured_where_it_fits() -> None:
    assert "matthews" in scoring.meanings("text_classification")
    assert "matthews" in scoring.meanings("image_classification")
    assert "matthews" not in scoring.meanings("multilabel_classification")
    assert "matthews" not in scoring.meanings("text_generation")
