"""A language model's task: what texts become, what they are scored by, and the baselines it must beat."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from tidemill.models.common import networks as models
from tidemill.models.gpt2 import Params
from tidemill.tasks.text_generation import baselines, encoding, learning, prediction, scoring
from tidemill.tasks.text_generation import rows as task_rows
from tidemill.tokens import bpe
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards

LINES = [
    "It is a truth universally acknowledged, ",
    "that a single man ",
    "秦川雄帝宅，函谷壯皇居。",
    "must be in want ",
]
LENGTH = 12


def texts(count, seed=0):
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"{number:016x}" for number in range(count)],
            "text": ["".join(generator.choice(LINES, generator.integers(1, 12))).strip() for _ in range(count)],
            "label": None,
        }
    )


@pytest.fixture(scope="module")
def tokenizer():
    return encoding.fit(iter([texts(40)]), encoding.Tokenize(vocabulary=300, length=LENGTH))


@pytest.fixture(scope="module")
def spec(tokenizer):
    return encoding.specify(iter([]), encoding.Tokenize(length=LENGTH), tokenizer)


@pytest.fixture(scope="module")
def network(spec):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = models.build(Params(name="gpt2", width=16, heads=2, layers=1), spec).eval()
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(0.3 * torch.randn_like(weights))
    return network


def test_each_text_stands_after_an_end_of_text_and_comes_back(tokenizer, spec):
    rows = texts(20)
    columns = encoding.encode(rows, tokenizer, spec)
    tokens = columns["tokens"]
    assert tokens.values.dtype == np.uint16
    assert [tokens[row][0] for row in range(20)] == [spec["end"]] * 20
    assert [tokenizer.decode(tokens[row][1:].tolist()) for row in range(20)] == rows["text"].tolist()
    assert columns["bytes"].tolist() == [len(text.encode()) for text in rows["text"]]


@pytest.mark.parametrize(
    ("raw", "kept", "reason"),
    [
        ("one\r\ntwo\rthree", "one\ntwo\nthree", None),
        ("，full－width　signs stay", "，full－width　signs stay", None),
        ("e\u0301\u0000\ufeff", "é", None),
        ("two  spaces\n\n  and an indent", "two  spaces\n\n  and an indent", None),
        (" \n\t ", "", "no text"),
        (None, "", "no text"),
    ],
)
def test_texts_stay_as_they_are_written(raw, kept, reason):
    (row,) = task_rows.clean(pd.DataFrame({"text": [raw], "reason": [None], "label": ["x"]})).to_dict("records")
    assert (row["text"], row["reason"], row["label"]) == (kept, reason, None)


def by_hand(network, ids):
    """Every token by as much before it as the model can see, at most: short texts only."""
    with torch.inference_mode():
        logits = network(torch.tensor([ids[:-1]]))[0]
    return float(functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum"))


def outputs(network, rows, tokenizer, spec):
    shards = MemoryShards(encoding.encode(rows, tokenizer, spec))
    with torch.inference_mode():
        parts = [pd.DataFrame(prediction.outputs(network, batch, spec)) for batch in Batches(shards, 7)]
    return pd.concat(parts, ignore_index=True)


def test_a_text_that_fits_is_scored_as_by_hand(network, tokenizer, spec):
    rows = pd.DataFrame({"text": ["It", "single man", "be in", "秦川雄帝宅"]})
    tokens = encoding.encode(rows, tokenizer, spec)["tokens"]
    assert tokens.lengths.max() <= LENGTH + 1
    found = outputs(network, rows, tokenizer, spec)
    assert found["nll"].tolist() == pytest.approx(
        [by_hand(network, tokens[row].tolist()) for row in range(4)], rel=1e-5
    )


def test_a_long_text_is_scored_in_windows_that_share_a_half(network, tokenizer, spec):
    rows = texts(30)
    tokens = encoding.encode(rows, tokenizer, spec)["tokens"]
    row = int(tokens.lengths.argmax())
    ids = tokens[row].tolist()
    assert len(ids) > 4 * LENGTH
    expected = by_hand(network, ids[: LENGTH + 1])
    for start in range(LENGTH // 2, len(ids) - LENGTH // 2 - 1, LENGTH // 2):
        window = ids[start : start + LENGTH + 1]
        expected += by_hand(network, window) - by_hand(network, window[: LENGTH // 2 + 1])
    found = outputs(network, rows, tokenizer, spec)
    assert found["nll"][row] == pytest.approx(expected, rel=1e-5)
    assert found["tokens"][row] == len(ids) - 1


def test_neighbours_change_no_score(network, tokenizer, spec):
    rows = texts(20)
    together = outputs(network, rows, tokenizer, spec)
    apart = pd.concat([outputs(network, rows.iloc[[row]], tokenizer, spec) for row in range(20)])
    assert together["nll"].tolist() == pytest.approx(apart["nll"].tolist(), rel=1e-5)


def test_metrics_are_those_of_all_texts_as_one():
    predictions = pd.DataFrame({"nll": [10.0, 30.0], "bytes": [10, 40], "tokens": [5, 10]})
    metrics = scoring.metrics(predictions, {})
    both, second = metrics(np.array([1, 1])), metrics(np.array([0, 3]))
    assert both["bits_per_byte"] == pytest.approx(40 / math.log(2) / 50)
    assert both["compression"] == pytest.approx(8 / both["bits_per_byte"])
    assert both["perplexity"] == pytest.approx(math.exp(40 / 15))
    assert second["perplexity"] == pytest.approx(math.exp(3))


def test_an_untrained_model_wavers_between_all_tokens(tokenizer, spec):
    torch.manual_seed(0)
    network = models.build(Params(name="gpt2", width=16, heads=2, layers=1), spec).eval()
    found = outputs(network, texts(20), tokenizer, spec)
    perplexity = scoring.metrics(found, spec)(np.ones(20, np.int64))["perplexity"]
    assert perplexity == pytest.approx(spec["vocabulary"], rel=0.1)


def test_training_lowers_the_loss_and_a_window_shows_the_token_to_come(tokenizer, spec):
    torch.manual_seed(0)
    network = models.build(Params(name="gpt2", width=32, heads=2, layers=1, dropout=0.0), spec)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    stream = torch.from_numpy(encoding.encode(texts(40), tokenizer, spec)["tokens"].values.astype(np.int64))
    losses = []
    for start in range(0, 40 * LENGTH, LENGTH):
        batch = {"tokens": stream[start : start + 8 * (LENGTH + 1)].view(8, LENGTH + 1)}
        loss, _ = learning.step(network, batch, 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(spec["vocabulary"]), rel=0.1)
    assert np.mean(losses[-5:]) < 0.5 * losses[0]


def test_a_prompt_is_continued(network, tokenizer, spec):
    rows = pd.DataFrame({"text": ["It is", ""]})
    found = prediction.respond(network, tokenizer, rows, spec, prediction.Options(new_tokens=5, temperature=0.0))
    assert found.columns.tolist() == ["prediction", "confidence", "probabilities"]
    assert all(isinstance(text, str) for text in found["prediction"])
    assert all(len(each) <= 5 for each in found["probabilities"])
    assert found["confidence"][0] == pytest.approx(np.mean(found["probabilities"][0]))


def test_the_chances_of_all_bytes_after_a_context_sum_to_one():
    train = texts(20)
    for context in ("It is a tru", "秦川", "", "never seen"):
        asked = pd.DataFrame({"id": range(256), "label": None, "text": [context + "é"] * 256})
        start = (context + "é").encode()[:-1]
        seen = baselines._codes(baselines._joined(train))
        codes = np.concatenate([baselines._codes(start + bytes([byte]))[-1:] for byte in range(256)])
        chances = np.full(256, 1 / 256)
        for order in range(1, baselines.ORDER + 1):
            chances = baselines._mixed(seen, codes, order, chances)
        assert chances.sum() == pytest.approx(1.0) and (chances > 0).all()
        assert len(baselines.ngrams(train, asked)) == 256


def test_baselines_learn_from_the_training_texts():
    train, test, strange = texts(40), texts(10, seed=1), texts(10, seed=1)
    strange["text"] = ["".join(chr(0x4E00 + ord(sign) % 800) for sign in text) for text in strange["text"]]
    for name, table in baselines.baselines(train, test, {}).items():
        other = baselines.baselines(train, strange, {})[name]
        ones = np.ones(10, np.int64)
        known, unknown = (scoring.metrics(each, {})(ones)["bits_per_byte"] for each in (table, other))
        assert 0 < known < 1 < unknown, name
        assert math.isnan(scoring.metrics(table, {})(ones)["perplexity"])
        assert table["id"].tolist() == test["id"].tolist()


def test_the_compressor_is_never_credited_with_more_than_zlib_does():
    import zlib

    rows = texts(5)
    found = baselines.compressor(rows.iloc[:0], rows)
    alone = [len(zlib.compress(text.encode(), 9, wbits=-15)) for text in rows["text"]]
    assert (found["nll"] / math.log(2) / 8).tolist() == pytest.approx(alone)


def test_the_token_between_texts_is_the_one_of_the_tokenizer(tokenizer, spec):
    assert spec == {"vocabulary": 300, "length": LENGTH, "end": tokenizer.token_to_id(bpe.END)}
