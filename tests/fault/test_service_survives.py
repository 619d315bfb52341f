"""What fails behind the service is told on /health, and neither ends it nor keeps it from ending."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from tests.served import LONG, connected, ended, raw_request, registered, sent, served
from tests.unit.registry.candidates import TEXT_PARAMS, write_candidate
from tests.unit.registry.proposals import crown
from tests.unit.serving.test_service import until
from tidemill.registry.registration import register
from tidemill.serving.live import Live
from tidemill.serving.troubles import Troubles
from tidemill.tracking import tags
from tidemill.tracking.store import connect

CHAMPION = "models:/reviews@champion"
ROW = {"text": "fine food"}
AT_MOST = ("--limit", "shutdown=1")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with two versions of reviews, and a storyteller."""
    with registered(tmp_path_factory.mktemp("project"), "tales", "reviews") as folder:
        system = write_candidate(folder, "reviews", TEXT_PARAMS, seed=1)
        register("reviews", system, folder / "artifacts" / "reviews")
        (folder / "params.yaml").unlink()
        yield folder


def answers(service: str) -> bool:
    return httpx.post(f"{service}/predict", json={"rows": [ROW]}).status_code == 200


def test_a_surrogate_in_an_unknown_column_ends_no_recording(project: Path, tmp_path: Path) -> None:
    record, body = tmp_path / "traffic.jsonl", b'{"rows": [{"text": "fine", "note": ["\\ud800"]}]}'
    with served(project, CHAMPION, "--record", str(record), *AT_MOST) as (address, process):
        response = httpx.post(f"{address}/predict", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code in (200, 422)
        with httpx.Client(base_url=address) as client:
            for _ in range(120):
                assert client.post("/predict", json={"rows": [ROW]}).status_code == 200
        until(lambda: record.exists() and record.read_text().count("\n") == 120)
        assert ended(process, signal.SIGTERM, 20) < 10


def test_any_exception_beside_a_request_is_kept_and_told(project: Path, tmp_path: Path) -> None:
    logged: list[str] = []
    live = Live(CHAMPION, logged.append, "models:/reviews/2", record=tmp_path / "record.jsonl")
    live.predict(pd.DataFrame([ROW | {"note": ["\ud800"]}]), {})
    until(lambda: live.troubles.present)
    [trouble] = live.troubles.document()
    assert (trouble["what"], trouble["until"], trouble["times"]) == ("a request was not recorded", None, 1)
    assert "UnicodeEncodeError" in trouble["error"] and trouble["since"].endswith("+00:00")
    live.predict(pd.DataFrame([ROW]), {})
    until(lambda: not live.troubles.present)
    live.close()
    assert live.troubles.document()[0]["until"] is not None
    assert (tmp_path / "record.jsonl").read_text().count("\n") == 1
    found = live.comparison()
    assert found is not None and found["compared"] == 2
    assert sum("not recorded" in line for line in logged) == 1


def test_a_version_without_a_tag_is_told_and_the_alias_still_followed(project: Path) -> None:
    client = connect()
    weights = client.get_model_version("reviews", "2").tags[tags.WEIGHTS]
    with served(project, CHAMPION, "--refresh", "0.2") as (address, _):

        def health() -> dict[str, Any]:
            found: dict[str, Any] = httpx.get(f"{address}/health").json()
            return found

        try:
            client.delete_model_version_tag("reviews", "2", tags.WEIGHTS)
            crown("reviews", "2")
            until(lambda: health().get("status", "ok") != "ok" or time.sleep(0.2), seconds=15)
            [trouble] = health()["troubles"]
            assert trouble["what"] == f"{CHAMPION} is not followed" and tags.WEIGHTS in trouble["error"]
            assert health()["version"] == "reviews/1" and answers(address)
            client.set_model_version_tag("reviews", "2", tags.WEIGHTS, weights)
            until(lambda: health()["version"] == "reviews/2")
            assert health()["status"] == "ok" and health()["troubles"][0]["until"]
        finally:
            client.set_model_version_tag("reviews", "2", tags.WEIGHTS, weights)
            crown("reviews", "1")
        until(lambda: health()["version"] == "reviews/1")


def test_shutdown_does_not_wait_for_a_file_that_hangs(project: Path, tmp_path: Path) -> None:
    record = tmp_path / "pipe"
    os.mkfifo(record)  # nobody reads it: opening it never returns
    with served(project, CHAMPION, "--record", str(record), *AT_MOST) as (address, process):
        with httpx.Client(base_url=address) as client:
            for _ in range(110):
                assert client.post("/predict", json={"rows": [ROW]}).status_code == 200
            health = client.get("/health").json()
        assert [trouble["what"] for trouble in health["troubles"]] == ["a request was neither compared nor recorded"]
        assert ended(process, signal.SIGTERM, 20) < 10


@pytest.mark.parametrize("path", ["/predict", "/stream"])
def test_shutdown_does_not_wait_for_long_work(project: Path, path: str) -> None:
    with served(project, "models:/tales@champion", *AT_MOST) as (address, process), ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(sent(address, LONG, path))
        until(lambda: httpx.get(f"{address}/health").json()["requests"] == 3)
        assert ended(process, signal.SIGTERM, 30) < 12


def test_shutdown_does_not_wait_for_a_body_that_never_comes(project: Path) -> None:
    with served(project, CHAMPION, *AT_MOST) as (address, process), connected(address) as connection:
        connection.sendall(raw_request("/predict", b"x" * 1000)[:-500])
        until(lambda: httpx.get(f"{address}/health").json()["requests"] == 1)
        assert ended(process, signal.SIGTERM, 20) < 10


def test_a_comparison_that_never_ends_is_given_up(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    live, never = Live(CHAMPION, logged.append, "models:/reviews/2"), threading.Event()
    assert live.shadow
    monkeypatch.setattr(live.shadow.predictor, "predict_normalised", lambda rows: never.wait(60))
    for _ in range(110):
        live.predict(pd.DataFrame([ROW]), {})
    start = time.monotonic()
    live.close(1)
    assert time.monotonic() - start < 5
    assert "no time was left" in logged[-1]
    never.set()


def test_the_same_trouble_is_logged_once(tmp_path: Path) -> None:
    logged: list[str] = []
    troubles = Troubles(logged.append)
    for _ in range(3):
        with troubles.caught("it"):
            raise ValueError("a\nb" + "c" * 10_000)
    assert len(logged) == 1 and "\n" not in logged[0] and len(logged[0]) < 1000
    [trouble] = troubles.document()
    assert trouble["times"] == 3 and troubles.present
