"""Sets of labels: cleaned, encoded, predicted, and measured as scikit-learn and torchmetrics measure them."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as theirs
from torchmetrics.functional.classification import multilabel_f1_score

from tidemill.core.errors import TidemillError
from tidemill.core.labels import joined
from tidemill.models import bert, lstm
from tidemill.models.common import networks as models
from tidemill.tasks.multilabel_classification import baselines, checks, encoding, learning, prediction, rows, scoring
from tidemill.validation.params import Validate
from tidemill.validation.suites import validate

LABELS = ["art", "food", "sport", "travel"]
SPEC = {"labels": LABELS, "outputs": 4, "vocabulary": 50, "length": 12}


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Two threads that wait for each other on a busy machine take many times longer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def predicted(rows: int = 300, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Predictions of a so-so model, with what is true and the probabilities it gave."""
    generator = np.random.default_rng(seed)
    actual = generator.random((rows, 4)) < [0.5, 0.3, 0.2, 0.1]
    chances = np.clip(actual * 0.4 + generator.random((rows, 4)) * 0.6, 0.01, 0.99)
    table = pd.DataFrame({"id": [str(row) for row in range(rows)], "labels": [named(row) for row in actual]})
    return table.join(pd.DataFrame(prediction.label_sets(chances, LABELS))), actual, chances


def named(row: np.ndarray) -> list[str]:
    return [label for label, has in zip(LABELS, row, strict=True) if has]


def test_metrics_are_those_of_scikit_learn_and_torchmetrics() -> None:
    predictions, actual, chances = predicted()
    likely = chances >= 0.5
    found = scoring.metrics(predictions, SPEC)(np.ones(300, dtype=np.int64))
    for average in ("micro", "macro"):
        expected = theirs.f1_score(actual, likely, average=average, zero_division=0)
        assert found[f"{average}_f1"] == pytest.approx(expected)
        torch_f1 = multilabel_f1_score(
            torch.from_numpy(chances), torch.from_numpy(actual).int(), num_labels=4, average=average
        )
        assert found[f"{average}_f1"] == pytest.approx(float(torch_f1), abs=1e-6)
    assert found["micro_precision"] == pytest.approx(theirs.precision_score(actual, likely, average="micro"))
    assert found["micro_recall"] == pytest.approx(theirs.recall_score(actual, likely, average="micro"))
    assert found["subset_accuracy"] == pytest.approx(theirs.accuracy_score(actual, likely))
    assert found["hamming_loss"] == pytest.approx(theirs.hamming_loss(actual, likely))
    precision, recall, f1, support = theirs.precision_recall_fscore_support(actual, likely, zero_division=0)
    for place, label in enumerate(LABELS):
        names = (f"precision/{label}", f"recall/{label}", f"f1/{label}")
        assert [found[name] for name in names] == pytest.approx([precision[place], recall[place], f1[place]])
    assert found["lowest_recall"] == pytest.approx(recall.min()) and support.min() > 0
    of_labels = [theirs.log_loss(actual[:, place], chances[:, place], labels=[False, True]) for place in range(4)]
    assert found["log_loss"] == pytest.approx(sum(of_labels))


def test_weights_count_rows_several_times() -> None:
    predictions, _, _ = predicted(60)
    weights = np.random.default_rng(1).integers(0, 4, 60)
    repeated = predictions.loc[predictions.index.repeat(weights)].reset_index(drop=True)
    of_weights, of_rows = (
        scoring.metrics(predictions, SPEC)(weights),
        scoring.metrics(repeated, SPEC)(np.ones(weights.sum(), dtype=np.int64)),
    )
    assert of_weights == pytest.approx(of_rows)


def test_nothing_given_where_nothing_is_there_is_right() -> None:
    table = pd.DataFrame({"id": ["1"], "labels": [[]]}).join(
        pd.DataFrame(prediction.label_sets(np.full((1, 4), 0.1), LABELS))
    )
    scored = scoring.score(table, SPEC).iloc[0]
    assert (scored["prediction"], scored["label"], scored["correct"]) == ("", "", True)
    assert scored["confidence"] == pytest.approx(0.9**4) and scored["loss"] == pytest.approx(-4 * np.log(0.9))
    assert scoring.metrics(table, SPEC)(np.ones(1, dtype=np.int64))["subset_accuracy"] == 1


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        (["b", " a ", "b", ""], ["a", "b"]),
        (np.array([10, 9]), ["9", "10"]),
        (None, []),
        (float("nan"), []),
        ("a; b", ["a; b"]),
        (3, ["3"]),
    ],
    ids=["list", "array of numbers", "nothing", "not a number", "one text", "one number"],
)
def test_labels_are_cleaned(given: Any, labels: list[str]) -> None:
    assert rows.clean_labels(given) == labels


def test_rows_are_cleaned() -> None:
    raw = pd.DataFrame({"text": ["one ", "two", " "], "labels": [["b", "a"], None, ["a"]], "reason": [None] * 3})
    cleaned = rows.clean(raw)
    assert cleaned["label"].tolist() == ["a; b", "", "a"]
    assert cleaned["reason"].tolist()[2] == "no text" and cleaned["reason"].isna().sum() == 2
    with pytest.raises(TidemillError, match=r"no column 'labels'.*source\.columns"):
        rows.clean(raw.drop(columns="labels"))


def test_a_label_that_training_has_not_seen_is_named() -> None:
    with pytest.raises(TidemillError, match="label 'music' is not among those of training: art, food"):
        encoding.label_matrix(pd.Series([["art"], ["music"]]), LABELS)


def table(labels: list[list[str]]) -> pd.DataFrame:
    texts = [f"text {number}" for number in range(len(labels))]
    written = [joined(row) for row in labels]
    return pd.DataFrame({"id": texts, "text": texts, "labels": labels, "label": written})


def identified(split: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Give the rows ids and sources as the ingest stage does."""
    ids = [sha256(f"{split} {number}".encode()).hexdigest()[:16] for number in range(len(rows))]
    return rows.assign(id=ids, row=rows.index)


def test_strange_and_rare_labels_break_expectations() -> None:
    plain = table([["a.b"], ["a.b", "c"], [], ["c"]] * 10)
    strange, rare = table([["a.b"], ["axb"], ["c"], []] * 10), table([["a.b"]] * 40)
    for valid, broken in ((plain, 0), (strange, 1), (rare, 1)):
        splits = {"train": plain, "valid": valid, "test": plain}
        tables = {split: identified(split, rows) for split, rows in splits.items()}
        found = validate(tables, checks.expectations(Validate(minimum_share=0.1), tables))
        assert len(found.broken) == broken, found.broken


@pytest.mark.parametrize(
    "params",
    [
        lstm.Params(name="lstm", embedding=8, hidden=8),
        bert.Params(name="bert", layers=1, width=16, heads=2, feed_forward=32, positions=16, dropout=0.0),
    ],
    ids=["lstm", "bert"],
)
def test_a_network_learns_sets_of_labels(params: Any, one_thread: None) -> None:
    """Each of the first four tokens stands for a label."""
    torch.manual_seed(0)
    network = models.build(params, SPEC)
    tokens = torch.randint(2, 12, (100, 6))
    labels = torch.stack([(tokens == 2 + place).any(dim=1) for place in range(4)], dim=1).byte()
    batch = {"tokens": tokens, "tokens_length": torch.full((100,), 6), "labels": labels}
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03)
    first = float(learning.step(network, batch, 0.0)[0].detach())
    for _ in range(60):
        loss, figures = learning.step(network, batch, 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < first / 4 and float(figures["subset_accuracy"]) > 0.8
    with torch.inference_mode():
        found = pd.DataFrame(prediction.outputs(network.eval(), batch, SPEC))
    right = [
        set(labels_) == set(named(row)) for labels_, row in zip(found["predicted"], labels.numpy() > 0, strict=True)
    ]
    assert np.mean(right) > 0.8
    assert found["confidence"].between(0, 1).all() and found["probabilities"].map(len).eq(4).all()


def test_baselines() -> None:
    train = table([["a"], ["a", "b"], ["a"], []] * 30).assign(text=["ant", "ant bee", "ant", "zoo"] * 30)
    always = train.assign(labels=[["a", *row] if "a" not in row else row for row in train["labels"]])
    test = table([["a"], ["a", "b"], []]).assign(text=["ant ant", "bee ant", "zoo"])
    assert baselines.majority(train, test, ["a", "b"])["prediction"].tolist() == ["a"] * 3
    assert baselines.linear(train, test, ["a", "b"])["prediction"].tolist() == ["a", "a; b", ""]
    assert baselines.linear(always, test, ["a", "b"])["prediction"].tolist() == ["a", "a; b", "a"]
