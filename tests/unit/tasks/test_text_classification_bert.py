"""BERT as the model of a text classification: WordPiece tokens in, labels of several classes out."""

import random
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tidemill.core.files import sha256_file
from tidemill.core.pinned import PinnedFile
from tidemill.models.bert import Params
from tidemill.models.common import networks as models
from tidemill.tasks.text_classification import encoding, learning, prediction
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards
from tidemill.tokens.tokenizers import fit_vocabulary

WORDS = {"sea": ["ship", "wave", "tide"], "sky": ["cloud", "wing", "star"], "town": ["street", "bridge", "tower"]}
PARAMS = Params(name="bert", layers=1, width=32, heads=2, feed_forward=64, positions=16, dropout=0.0)


def table(count: int, seed: int) -> pd.DataFrame:
    chance = random.Random(seed)
    labels = [chance.choice(list(WORDS)) for _ in range(count)]
    texts = [f"{'the ' * chance.randint(0, 5)}{chance.choice(WORDS[label])} was here" for label in labels]
    return pd.DataFrame({"id": [f"{number:016x}" for number in range(count)], "text": texts, "label": labels})


def test_it_learns_three_classes_with_a_tokenizer_that_is_named(tmp_path: Path) -> None:
    train, test = table(256, 0), table(64, 1)
    fit_vocabulary(train["text"], "wordpiece", 200).save(str(tmp_path / "tokenizer.json"))
    file = PinnedFile(path=str(tmp_path), sha256=sha256_file(tmp_path / "tokenizer.json"))
    params = encoding.Tokenize(tokenizer=file, length=12)
    tokenizer = encoding.fit(iter([train]), params)
    spec = encoding.specify(iter([train]), params, tokenizer)
    assert (spec["outputs"], spec["vocabulary"]) == (3, tokenizer.get_vocab_size())
    network = _trained(MemoryShards(encoding.encode(train, tokenizer, spec)), spec)
    batch = next(iter(Batches(MemoryShards(encoding.encode(test[["text"]], tokenizer, spec)), 64)))
    with torch.inference_mode():
        found = prediction.outputs(network, batch, spec)
    assert np.mean(np.array(found["prediction"]) == test["label"]) > 0.95
    assert np.allclose(np.sum(found["probabilities"], axis=1), 1)


def test_every_text_begins_and_ends_as_bert_reads_it() -> None:
    params = encoding.Tokenize(unit="wordpiece", vocabulary=200, length=6)
    tokenizer = encoding.fit(iter([table(50, 0)]), params)
    spec = encoding.specify(iter([table(50, 0)]), params, tokenizer)
    texts = pd.DataFrame({"text": ["", "the ship", "the " * 20]})
    tokens = encoding.encode(texts, tokenizer, spec)["tokens"]
    first, last = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
    assert [(row[0], row[-1]) for row in tokens] == [(first, last)] * 3
    assert [len(row) for row in tokens] == [2, 4, 6]


def _trained(shards: MemoryShards, spec: dict[str, object]) -> torch.nn.Module:
    torch.manual_seed(0)
    network = models.build(PARAMS, spec)
    optimizer = torch.optim.Adam(network.parameters(), 0.005)
    batches = Batches(shards, 32, shuffle=True, bucket=learning.BUCKET)
    for _ in range(15):
        for batch in batches:
            optimizer.zero_grad()
            learning.step(network, batch, 0.0)[0].backward()
            optimizer.step()
    return network.eval()
