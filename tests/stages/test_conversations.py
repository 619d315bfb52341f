"""Prompts with responses through the stages: learned, measured and answered, as they are typed and over HTTP."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.stages.in_process import run_stages, write_system
from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json
from tidemill.inference.predictor import Predictor
from tidemill.serving import requests, typed_row
from tidemill.serving.params import Serve
from tidemill.serving.predictions import predict_each

OPPOSITES = {"hot": "cold", "big": "small", "old": "young", "up": "down", "wet": "dry", "fast": "slow"}
SYSTEM = {
    "task": "text_generation",
    "source": {"path": "talks.jsonl", "format": "jsonl", "columns": {"text": "messages"}},
    "ingest": {"valid": 0.15, "test": 0.15, "near_duplicates": None},
    "validate": {"minimum_rows": 5},
    "tokenize": {"vocabulary": 300, "length": 64, "chat": "plain"},
    "model": {"name": "gpt2", "width": 32, "heads": 2, "layers": 1, "dropout": 0.0},
    "training": {"epochs": 12, "batch": 4, "optimizer": "adamw", "lr": 1e-2},
    "evaluate": {"resamples": 100},
    "gates": {},
}


def talk(number: int, word: str) -> list[dict[str, str]]:
    return [
        {"role": "user", "content": f"Of {number} words, what is the opposite of {word}?"},
        {"role": "assistant", "content": f"It is {OPPOSITES[word]}."},
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("talks")
    talks = [talk(number, list(OPPOSITES)[number % len(OPPOSITES)]) for number in range(240)]
    (made / "talks.jsonl").write_text("\n".join(json.dumps({"messages": one}) for one in talks), encoding="utf-8")
    write_system(made, "talks", SYSTEM)
    run_stages(made, "talks")
    return made


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    return Predictor(folder / "artifacts/talks/train/model")


def test_what_is_measured_is_the_response(folder: Path) -> None:
    evaluation = read_json(folder / "artifacts/talks/evaluate/evaluation.json")
    rows = pd.read_parquet(folder / "artifacts/talks/ingest/test.parquet")
    predictions = pd.read_parquet(folder / "artifacts/talks/evaluate/predictions.parquet")
    said = [json.loads(text)[1]["content"] for text in rows["text"]]
    assert predictions["bytes"].tolist() == [len(text.encode()) for text in said]
    assert 1 < evaluation["metrics"]["perplexity"]["value"] < 2  # six responses, and the prompt tells which
    assert set(evaluation["baselines"]) == {"compressor", "n-gram"}


def test_a_prompt_that_is_typed_is_responded_to(predictor: Predictor) -> None:
    row = typed_row.row(predictor, ["Of 7 words, what is the opposite of hot?"])
    said = "".join(predictor.stream(row, temperature=0))
    assert said in {f"It is {word}." for word in OPPOSITES.values()}


def test_messages_over_http_are_a_conversation(predictor: Predictor) -> None:
    limits = Serve()
    asked = {"rows": [{"messages": talk(7, "big")[:1]}, {"text": talk(7, "wet")[0]["content"]}]}
    request = requests.read(json.dumps(asked | {"options": {"temperature": 0}}).encode(), limits, predictor)
    found = predict_each(predictor, request.table(), request.options)
    typed = predictor.predict([talk(7, word)[0]["content"] for word in ("big", "wet")], temperature=0)
    assert found["prediction"].tolist() == typed["prediction"].tolist() and found["reason"].isna().all()
    with pytest.raises(TidemillError, match=r"rows\.0\.messages: a message is no \{role, content\}"):
        requests.read(json.dumps({"rows": [{"messages": [{"role": "user"}]}]}).encode(), limits, predictor)
    with pytest.raises(TidemillError, match=r"rows\.0\.messages: this is no list"):
        requests.read(json.dumps({"rows": [{"messages": "Who?"}]}).encode(), limits, predictor)
    with pytest.raises(TidemillError, match="characters"):
        long = [{"role": "user", "content": "a" * (limits.characters + 1)}]
        requests.read(json.dumps({"rows": [{"messages": long}]}).encode(), limits, predictor)
