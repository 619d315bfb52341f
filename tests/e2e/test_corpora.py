"""The texts of the shipped language models, as they are fetched: read whole, and with the token ids of `tiktoken`."""

import shutil
from pathlib import Path

import pytest

from tests.projects import ROOT
from tests.unit.tokens.test_bpe import reference
from tidemill.formats import json_records, rdata
from tidemill.project.params import load_project
from tidemill.sources.fetch import fetch
from tidemill.tokens import bpe


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("apt-get") is None:
        pytest.skip("the novels come as a Debian package, and there is no apt-get here")
    folder = tmp_path_factory.mktemp("corpora")
    fetch(load_project(ROOT / "params.yaml").sources, folder, ["novels", "poems", "gpt2"])
    return folder


@pytest.fixture(scope="module")
def novels(data: Path) -> list[str]:
    options = rdata.Options(begins="^(CHAPTER|Chapter) ", unwrapped=True)
    return rdata.read(data / "novels", options)["text"].tolist()


@pytest.fixture(scope="module")
def poems(data: Path) -> list[str]:
    options = json_records.Options(files="poet.tang.?000.json", text="{title}\n\n{paragraphs}")
    return json_records.read(data / "poems", options)["text"].tolist()


def test_the_novels_are_whole(novels: list[str]) -> None:
    assert len(novels) == 275
    assert sum(map(len, novels)) > 3_800_000
    assert any("It is a truth universally acknowledged, that a single man in possession" in text for text in novels)


def test_the_poems_are_whole(poems: list[str]) -> None:
    assert len(poems) == 9008
    assert poems[0].count("\n") >= 2


def test_ids_of_both_corpora_are_those_of_tiktoken(data: Path, novels: list[str], poems: list[str]) -> None:
    texts = novels + poems
    tokenizer = bpe.read(data / "gpt2" / "vocab.bpe")
    theirs = reference(data / "gpt2" / "vocab.bpe", data / "gpt2" / "encoder.json")
    found = bpe.encode(tokenizer, texts)
    for row, text in enumerate(texts):
        assert found[row].tolist() == theirs.encode_ordinary(text)


def test_the_novels_come_back_from_their_tokens(novels: list[str]) -> None:
    tokenizer = bpe.fit(novels[:40], 1000)
    found = bpe.encode(tokenizer, novels)
    assert all(tokenizer.decode(found[row].tolist()) == text for row, text in enumerate(novels))
