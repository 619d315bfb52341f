"""Membership inference: against scikit-learn, a published theorem, and models whose memory is known by construction."""

from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import KNeighborsClassifier

from tidemill.core.intervals import Bootstrap
from tidemill.evaluation import membership
from tidemill.tasks.common import scoring

BOOTSTRAP = Bootstrap(resamples=200)
LABELS = ["no", "yes"]


def predicted(chances: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Scored predictions of two classes by the probability of the second."""
    both = np.stack([1 - chances, chances], axis=1)
    table = pd.DataFrame(
        {
            "id": [f"{place:016x}" for place in range(len(labels))],
            "label": [LABELS[label] for label in labels],
            "prediction": [LABELS[label] for label in both.argmax(axis=1)],
            "confidence": both.max(axis=1),
            "probabilities": list(both),
        }
    )
    return scoring.of("text_classification").score(table, {"labels": LABELS})


def measured(members: pd.DataFrame, others: pd.DataFrame) -> dict[str, dict[str, float]]:
    found = membership.membership("text_classification", {"labels": LABELS}, members, others, BOOTSTRAP)
    return {"gap": found["gap"], **found["loss_threshold"]}


def test_it_agrees_with_scikit_learn_ties_included() -> None:
    generator = np.random.default_rng(0)
    members, others = np.round(generator.normal(1, 1, 700), 1), np.round(generator.normal(0, 1, 3000), 1)
    found = membership.attack(members, others, BOOTSTRAP)
    truth, signal = np.repeat([1, 0], [700, 3000]), np.concatenate([members, others])
    assert found["auc"]["value"] == pytest.approx(roc_auc_score(truth, signal), abs=1e-6)
    false, true, _ = roc_curve(truth, signal, drop_intermediate=False)
    for limit in membership.FALSE_POSITIVES:
        assert found[f"tpr_at_{limit:g}"]["value"] == pytest.approx(true[false <= limit].max(), abs=1e-6)


def test_the_intervals_hold_what_is_known_of_two_normal_distributions() -> None:
    inside = {"auc": 0, "tpr_at_0.01": 0}
    known = {"auc": NormalDist().cdf(2**-0.5), "tpr_at_0.01": 1 - NormalDist(1).cdf(NormalDist().inv_cdf(0.99))}
    for seed in range(40):
        generator = np.random.default_rng(seed)
        found = membership.attack(generator.normal(1, 1, 500), generator.normal(0, 1, 2000), BOOTSTRAP)
        for name, value in known.items():
            inside[name] += found[name]["low"] <= value <= found[name]["high"]
    assert min(inside.values()) >= 34, f"95 % intervals, 40 draws: {inside}"


def test_the_advantage_is_the_gap_of_a_loss_of_0_and_1() -> None:
    """Yeom et al. (2018), theorem 2: the advantage of the attack, true minus false positives, is the gap of the loss."""
    generator = np.random.default_rng(1)
    right = [generator.random(4000) < accuracy for accuracy in (0.95, 0.7)]
    members, others = (np.where(hits, 0.0, -1.0) for hits in right)
    found = membership.attack(members, others, BOOTSTRAP)
    gap = right[0].mean() - right[1].mean()
    assert 2 * found["auc"]["value"] - 1 == pytest.approx(gap, abs=1e-6), "of one threshold, the advantage is 2 AUC - 1"


def test_a_model_that_remembers_every_row_is_found_out() -> None:
    """The nearest training row decides, and labels are drawn: nothing can be learned but the rows."""
    generator = np.random.default_rng(2)
    rows, labels = generator.normal(size=(1200, 8)), generator.integers(2, size=1200)
    model = KNeighborsClassifier(1).fit(rows[:400], labels[:400])
    near = 1 / (1 + model.kneighbors(rows)[0][:, 0])  # sure of a row that it has, the less so the farther one is
    chances = np.where(model.predict(rows) == 1, 0.5 + near / 2, 0.5 - near / 2)
    found = measured(predicted(chances[:400], labels[:400]), predicted(chances[400:], labels[400:]))
    assert found["auc"]["value"] > 0.999 and found["tpr_at_0.001"]["value"] > 0.99
    assert found["gap"]["low"] > 0.4


def test_a_model_that_remembers_nothing_gives_nothing_away() -> None:
    generator = np.random.default_rng(3)
    labels = generator.integers(2, size=1400)
    chances = np.full(1400, 0.6)
    found = measured(predicted(chances[:400], labels[:400]), predicted(chances[400:], labels[400:]))
    assert found["auc"]["low"] <= 0.5 <= found["auc"]["high"] and found["auc"]["high"] - found["auc"]["low"] < 0.15
    assert found["gap"]["low"] <= 0 <= found["gap"]["high"]
    assert found["tpr_at_0.001"] == pytest.approx({"value": 0, "low": 0, "high": 0.0095}, abs=5e-5), "not surely 0"


def test_a_sample_is_of_the_seed_and_never_more_than_there_is() -> None:
    rows = pd.DataFrame({"id": range(50)})
    one, again, other = (membership.sample(rows, 10, seed)["id"].tolist() for seed in (0, 0, 1))
    assert one == again != other and one == sorted(one) and len(one) == 10
    assert len(membership.sample(rows, 1000, 0)) == 50
