"""The service that a user starts, on versions that are really registered: texts, pictures, and a text generator."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from tests.unit.registry.candidates import PARAMS, TEXT_PARAMS, texts, write_candidate, write_model, write_validation
from tests.unit.registry.proposals import crown
from tests.unit.serving.test_service import served
from tidemill.core.files import sha256_file, write_json
from tidemill.core.params import read_system
from tidemill.evaluation.measure import Measure
from tidemill.inference.predictor import Predictor
from tidemill.project.params import System, with_plugins
from tidemill.registry.registration import register
from tidemill.tasks.common import scoring

ROOT = Path(__file__).parents[1]
ONE_AT_ONCE = {"OMP_NUM_THREADS": str(os.cpu_count())}
"""All cores for one request: a second one has to wait."""
LONG = {"rows": [{"text": "fine"}], "options": {"new_tokens": 90_000, "temperature": 0}}
"""A request for the storyteller that takes minutes."""
GENERATOR_PARAMS = """
systems:
  tales:
    task: text_generation
    source: {path: data/tales, format: text, options: {}}
    ingest: {}
    validate: {}
    tokenize: {vocabulary: 270, length: 32}
    model: {name: gpt2, width: 16, heads: 2, layers: 1, dropout: 0.0}
    training: {}
    evaluate: {resamples: 100}
    gates: {thresholds: {compression: 0.0}}
"""


@contextmanager
def registered(folder: Path, *systems: str) -> Iterator[Path]:
    """Make a project with a champion of each of these systems: reviews, bars, tales."""
    (folder / "requirements").symlink_to(ROOT / "requirements")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(folder)
        for name in systems:
            if name == "tales":
                system = _write_storyteller(folder)
            else:
                system = write_candidate(folder, name, PARAMS if name == "bars" else TEXT_PARAMS)
            register(name, system, folder / "artifacts" / name)
            crown(name, "1")
        (folder / "params.yaml").unlink()
        yield folder


def raw_request(path: str, body: bytes, **headers: str) -> bytes:
    """The bytes of a POST request."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def connected(address: str, seconds: float = 30) -> socket.socket:
    """A plain connection to a service."""
    url = httpx.URL(address)
    return socket.create_connection((url.host, url.port or 80), timeout=seconds)


def sent(address: str, body: dict[str, Any], path: str = "/predict") -> socket.socket:
    """A connection on which a request was sent, and whose response nobody has read."""
    connection = connected(address)
    connection.sendall(raw_request(path, json.dumps(body).encode()))
    return connection


def seconds_of(call: Any) -> float:
    """How long a call takes."""
    start = time.monotonic()
    call()
    return time.monotonic() - start


def ended(process: "subprocess.Popen[str]", number: int, seconds: float) -> float:
    """Send a signal; return after how many seconds the process ended."""
    start = time.monotonic()
    process.send_signal(number)
    process.wait(seconds)
    return time.monotonic() - start


def _write_storyteller(folder: Path) -> dict[str, Any]:
    """Write a generator that never ends a text by itself, as the stages before `register` would."""
    (folder / "params.yaml").write_text(GENERATOR_PARAMS)
    system = read_system("tales", folder / "params.yaml")
    made = folder / "artifacts" / "tales"
    tables = {
        split: texts(rows, first) for split, rows, first in (("train", 30, 0), ("valid", 6, 50), ("test", 12, 90))
    }
    (made / "ingest").mkdir(parents=True)
    for split, table in tables.items():
        table.to_parquet(made / "ingest" / f"{split}.parquet", index=False)
    write_validation(made)
    write_model(made / "train", system, tables["train"], seed=0)
    model = made / "train" / "model"
    _always_write("e", model)
    _evaluate(made, with_plugins("it", System.model_validate(system)), Predictor(model), tables["test"])
    return system


def _always_write(letter: str, model: Path) -> None:
    """Set the weights so that every token is this letter, with near certainty."""
    weights, predictor = load_file(model / "model.safetensors"), Predictor(model)
    assert predictor.tokenizer
    weights["norm.weight"].zero_()
    weights["norm.bias"].fill_(1.0)
    weights["tokens.weight"].zero_()[predictor.tokenizer.token_to_id(letter)] = 1.0
    save_file(weights, model / "model.safetensors")


def _evaluate(made: Path, system: System, predictor: Predictor, test: pd.DataFrame) -> None:
    results = made / "evaluate"
    results.mkdir()
    scored = scoring.of(system.task).score(
        test[["id", "label"]].join(predictor.predict_normalised(test)), predictor.spec
    )
    scored.to_parquet(results / "predictions.parquet", index=False)
    measured = Measure(system.task, predictor.spec, system.evaluate).results(test, scored, {"same": scored})
    weights = {"weights_sha256": sha256_file(predictor.folder / "model.safetensors")}
    write_json(results / "evaluation.json", weights | measured | {"probes": []})
    write_json(results / "latency.json", {"examples": len(test), "p50_ms": 0.5, "p95_ms": 1.5, "slowest": []})
    (results / "report.html").write_text("<p>report</p>")
    (results / "model-card.md").write_text("# card\n")


__all__ = ["LONG", "ONE_AT_ONCE", "connected", "ended", "raw_request", "registered", "seconds_of", "sent", "served"]
