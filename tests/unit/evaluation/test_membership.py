"""Membership inference: against scikit-learn, a published theorem, and models whose memory is known by construction."""

from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, spearmanr
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
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


def test_the_ratio_orders_rows_as_scipy_and_the_paper_do() -> None:
    """Carlini et al. (2022), section VI C: the attack's probability is that of a lower confidence of a row not trained on."""
    generator = np.random.default_rng(4)
    known, unseen = generator.uniform(0.01, 1, 500), generator.uniform(0.01, 1, 500)
    logits, means = (np.log(chance / (1 - chance)) for chance in (known, unseen))
    published = norm.cdf(logits, loc=means, scale=1.7)
    found = membership.likelihood_ratio(-np.log(known), -np.log(unseen))
    assert spearmanr(found, published).statistic == pytest.approx(1)
    np.testing.assert_allclose(norm.cdf(found, scale=1.7), published, atol=1e-9)


def test_the_ratio_finds_what_the_difficulty_of_rows_hides_from_the_threshold() -> None:
    """Two normal distributions of logits, d apart, of rows whose difficulty spreads far more: the AUC is known."""
    generator = np.random.default_rng(5)
    hard = generator.normal(0, 4, 6000)
    logits = hard + generator.normal(0, 1, 6000) + np.repeat([2.0, 0.0], 3000)
    references = hard + generator.normal(0, 1, 6000)
    losses, unseen = (np.logaddexp(0, -values) for values in (logits, references))  # -log p of a logit
    signal = membership.likelihood_ratio(losses, unseen)
    ratio, threshold = (membership.attack(one[:3000], one[3000:], BOOTSTRAP) for one in (signal, -losses))
    assert ratio["auc"]["low"] <= NormalDist().cdf(2 / 2) <= ratio["auc"]["high"]
    assert threshold["auc"]["high"] < 0.7 and threshold["tpr_at_0.01"]["high"] < ratio["tpr_at_0.01"]["low"]


@pytest.mark.parametrize(
    ("model", "low", "high"),
    [(RandomForestClassifier(30, random_state=0), 0.95, 1.0), (DummyClassifier(strategy="prior"), 0.45, 0.55)],
    ids=["remembers", "cannot"],
)
def test_the_ratio_tells_a_model_that_remembers_from_one_that_cannot(
    model: RandomForestClassifier | DummyClassifier, low: float, high: float
) -> None:
    """Labels are drawn, so that nothing can be learned but the rows; references are trained on the other folds."""
    generator = np.random.default_rng(6)
    rows, labels = generator.normal(size=(2400, 8)), generator.integers(2, size=2400)
    trained, fold = np.arange(2400) < 1200, np.arange(2400) % 4

    def losses_of(taken: np.ndarray, asked: np.ndarray) -> np.ndarray:
        chances = model.fit(rows[taken], labels[taken]).predict_proba(rows[asked])
        return -np.log(np.clip(chances[np.arange(len(chances)), labels[asked]], 1e-3, 1 - 1e-3))

    losses, references = losses_of(trained, fold >= 0), np.empty(2400)
    for number in range(4):
        references[fold == number] = losses_of(trained & (fold != number), fold == number)
    signal = membership.likelihood_ratio(losses, references)
    found = membership.attack(signal[trained], signal[~trained], BOOTSTRAP)
    assert low <= found["auc"]["value"] <= high


def test_a_sample_is_of_the_seed_and_never_more_than_there_is() -> None:
    rows = pd.DataFrame({"id": range(50)})
    one, again, other = (membership.sample(rows, 10, seed)["id"].tolist() for seed in (0, 0, 1))
    assert one == again != other and one == sorted(one) and len(one) == 10
    assert len(membership.sample(rows, 1000, 0)) == 50
