"""The linear model: scikit-learn's weights in a torch module, the same bits each time, probabilities that fit."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from tidemill.models.linear import Params
from tidemill.models.linear.network import Linear, build, explain, solve
from tidemill.tokens import ngrams
from tidemill.tokens.shards import MemoryShards
from tidemill.tokens.texts import text_inputs

VOCABULARY = 30
Table = tuple[np.ndarray, np.ndarray]


def table(rows: int, labels: int, seed: int = 0) -> Table:
    """Features (B, V), half of them 0, and a label each that depends on some of them."""
    generator = np.random.default_rng([seed, labels])
    features = generator.random((rows, VOCABULARY)) * (generator.random((rows, VOCABULARY)) < 0.5)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    scores = features @ np.random.default_rng(labels).normal(size=(VOCABULARY, labels))
    return features, (scores + generator.normal(size=scores.shape) / 10).argmax(axis=1)


def packed(features: np.ndarray, labels: np.ndarray) -> MemoryShards:
    ids = [np.flatnonzero(row).astype(np.uint32) for row in features]
    weights = [row[chosen].astype(np.float32) for row, chosen in zip(features, ids, strict=True)]
    return MemoryShards({"ngrams": ids, "weights": weights, "labels": labels.astype(np.int32)})


def solved(train: Table, valid: Table, outputs: int, **params: Any) -> tuple[Linear, list[dict[str, float]]]:
    model = Params.model_validate({"name": "linear", "strengths": [1.0], **params})
    network = build(model, {"vocabulary": VOCABULARY, "outputs": outputs})
    return network, list(solve(network, packed(*train), packed(*valid), model, "squared", 0))


def logits(network: Linear, features: np.ndarray) -> np.ndarray:
    """All n-grams of all rows, those that a row has not with weight 0, as a padded batch has them."""
    ids = torch.arange(VOCABULARY).repeat(len(features), 1)
    with torch.inference_mode():
        return network(ids, torch.from_numpy(features.astype(np.float32))).numpy()


@pytest.mark.parametrize(
    ("loss", "labels", "peer"),
    [
        ("squared_hinge", 2, LinearSVC(C=2.0, random_state=0)),
        ("squared_hinge", 4, LinearSVC(C=2.0, random_state=0)),
        ("hinge", 2, LinearSVC(C=2.0, loss="hinge", random_state=0, max_iter=10000)),
        ("hinge", 4, LinearSVC(C=2.0, loss="hinge", random_state=0, max_iter=10000)),
        ("logistic", 2, LogisticRegression(C=2.0, solver="liblinear", random_state=0)),
    ],
)
def test_scores_are_those_of_scikit_learn_but_for_their_scale(loss: str, labels: int, peer: Any) -> None:
    train, valid = table(300, labels), table(100, labels, 1)
    network, [found] = solved(train, valid, 1 if labels == 2 else labels, loss=loss, strengths=[2.0])
    expected = peer.fit(*train).decision_function(valid[0]).reshape(len(valid[0]), -1)
    np.testing.assert_allclose(logits(network, valid[0]), expected * found["scale"], atol=0.02 * found["scale"])
    assert found["strength"] == 2.0


@pytest.mark.parametrize("naive_bayes", [False, True])
@pytest.mark.parametrize("loss", ["squared_hinge", "logistic"])
def test_weights_are_the_same_bits_whatever_the_threads(loss: str, naive_bayes: bool) -> None:
    train, valid = table(400, 3), table(100, 3, 1)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        network, _ = solved(train, valid, 3, loss=loss, naive_bayes=naive_bayes)
        found.append([value.numpy().tobytes() for value in network.state_dict().values()])
    torch.set_num_threads(1)
    assert found[0] == found[1]


@pytest.mark.parametrize("labels", [2, 3])
def test_the_scale_fits_the_validation_rows_and_changes_no_prediction(labels: int) -> None:
    train, valid = table(300, labels), table(2000, labels, 1)
    network, [found] = solved(train, valid, 1 if labels == 2 else labels, loss="hinge", strengths=[0.1])
    scores = torch.from_numpy(logits(network, valid[0]))
    wide = torch.cat([torch.zeros_like(scores), scores], dim=1) if labels == 2 else scores
    target = torch.from_numpy(valid[1])

    def loss(factor: float) -> float:
        return float(torch.nn.functional.cross_entropy(wide * factor, target))

    assert found["scale"] > 1.2, "a support vector machine with so strong a penalty scores close to 0"
    assert loss(1.0) < min(loss(0.8), loss(1.25), loss(1 / found["scale"]))
    assert (wide.argmax(dim=1) == (wide / found["scale"]).argmax(dim=1)).all()


def test_rows_that_can_all_be_told_apart_do_not_end_in_certainty() -> None:
    features = np.zeros((40, VOCABULARY))
    labels = np.arange(40) % 2
    features[np.arange(40), labels] = 1
    network, [found] = solved((features, labels), (features, labels), 1)
    assert 2 < np.abs(logits(network, features)).max() < 8, found


def test_naive_bayes_is_part_of_the_weights() -> None:
    train, valid = table(300, 2), table(200, 2, 1)
    plain, scaled = (solved(train, valid, 1, naive_bayes=given)[0] for given in (False, True))
    assert not torch.allclose(plain.weight, scaled.weight, atol=0.1)
    right = [((logits(network, valid[0])[:, 0] > 0) == (valid[1] == 1)).mean() for network in (plain, scaled)]
    assert min(right) > 0.85


def test_each_of_several_labels_has_its_own_output_and_one_without_rows_is_never_likely() -> None:
    features, labels = make_multilabel_classification(500, VOCABULARY, n_classes=4, random_state=0)
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    labels[:300, 2] = 0
    network, _ = solved((features[:300], labels[:300]), (features[300:], labels[300:]), 4, strengths=[10.0])
    found = logits(network, features[300:])
    assert (found[:, 2] < -1).all()
    others = [0, 1, 3]
    right = ((found > 0) == (labels[300:] > 0))[:, others].mean()
    commonest = np.maximum(labels[300:].mean(axis=0), 1 - labels[300:].mean(axis=0))[others].mean()
    assert right > commonest + 0.1


def test_strengths_are_tried_in_turn_and_l1_leaves_weights_at_0() -> None:
    train, valid = table(300, 2), table(100, 2, 1)
    _, found = solved(train, valid, 1, strengths=[0.1, 1.0, 10.0])
    assert [one["strength"] for one in found] == [0.1, 1.0, 10.0]
    zeros = {
        penalty: int((solved(train, valid, 1, penalty=penalty, strengths=[0.3])[0].weight == 0).sum())
        for penalty in ("l2", "l1")
    }
    assert zeros["l2"] == 0 and zeros["l1"] > 5


def test_what_no_solver_has_is_refused() -> None:
    with pytest.raises(ValidationError, match="penalty l1 goes with loss logistic or squared_hinge"):
        Params(name="linear", loss="hinge", penalty="l1")


def test_the_explanation_lists_the_largest_weights_of_each_label() -> None:
    texts = ["good book", "good film", "bad book", "bad film"]
    tokenizer = ngrams.fit(texts, [1, 1], None, 10, 1, False)
    assert tokenizer.grams is not None
    labels = np.array([1, 1, 0, 0], np.int32)
    rows = MemoryShards({**tokenizer.encode(texts), "labels": labels})
    spec: Any = {"vocabulary": 4, "outputs": 1, "labels": ["neg", "pos"]}
    model = Params(name="linear")
    network = build(model, spec)
    assert len(list(solve(network, rows, rows, model, "squared", 0))) == len(model.strengths)
    found = explain(network, tokenizer, spec).groupby("label").first()
    assert found["feature"].to_dict() == {"neg": "bad", "pos": "good"}
    assert (found["kind"] == "words").all() and (found["weight"] > 0).all()


def test_a_network_reads_ngrams_or_tokens() -> None:
    batch = {"ngrams": torch.tensor([[1]]), "ngrams_length": torch.tensor([1]), "weights": torch.ones(1, 1)}
    assert text_inputs(batch) == (batch["ngrams"], batch["weights"])
    tokens = {"tokens": torch.tensor([[1]]), "tokens_length": torch.tensor([1])}
    assert text_inputs(tokens) == (tokens["tokens"], tokens["tokens_length"])
