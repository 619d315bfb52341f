"""The service a user starts, asked over HTTP and in a browser, with another version beside the one that answers."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from tests.unit.registry.candidates import texts
from tests.unit.registry.proposals import crown
from tidemill.core.errors import TidemillError
from tidemill.serving import live as live_module
from tidemill.serving.live import Live
from tidemill.serving.loading import load
from tidemill.serving.shadow import shadow
from tidemill.tracking.store import connect

TIDEMILL = str(Path(sys.executable).with_name("tidemill"))
TOKEN = "long enough not to be guessed"
CHAMPION, CHALLENGER = "models:/reviews@champion", "models:/reviews@challenger"
ROWS = [{"text": text} for text in texts(60, 9000)["text"]]


@contextmanager
def served(project: Path, *arguments: str, **settings: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Start the command; yield its address, and its process."""
    with subprocess.Popen(
        [TIDEMILL, "serve", *arguments, "--port", "0"],
        cwd=project,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout and process.stderr
            address = process.stdout.readline().strip()
            assert address, process.stderr.read()
            yield address, process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def until(found: Callable[[], Any], seconds: float = 30) -> Any:
    """What is found, as soon as there is something."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


def said(version: int) -> list[str]:
    return list(load(f"models:/reviews/{version}").predictor.predict(pd.DataFrame(ROWS))["prediction"])


def test_it_answers_and_the_other_is_compared_and_recorded(project: Path, tmp_path: Path) -> None:
    record, (old, new) = tmp_path / "traffic.jsonl", (said(1), said(2))
    with served(project, CHAMPION, "--shadow", CHALLENGER, "--record", str(record)) as (address, process):
        with httpx.Client(base_url=address) as client:
            health = client.get("/health").json()
            assert (health["version"], health["shadow"], health["inputs"]) == ("reviews/1", "reviews/2", ["text"])
            assert client.get("/comparison").json()["agreement"] is None
            for start in range(0, len(ROWS), 20):
                answered = client.post("/predict", json={"rows": ROWS[start : start + 20]}).json()
                assert answered["version"] == "reviews/1"
                assert [row["prediction"] for row in answered["answers"]] == old[start : start + 20]
            found = until(lambda: (c := client.get("/comparison").json())["compared"] == len(ROWS) and c)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr and "Traceback" not in process.stderr.read()
    agreed = sum(a == b for a, b in zip(old, new, strict=True))
    assert 0 < agreed < len(ROWS)
    assert (found["agreed"], found["missed"], found["unanswered"]) == (agreed, 0, 0)
    agreement = found["agreement"]
    assert agreement["value"] == pytest.approx(agreed / len(ROWS), abs=1e-6)
    assert agreement["low"] < agreement["value"] < agreement["high"]
    last = [row | {"champion": a, "challenger": b} for row, a, b in zip(ROWS, old, new, strict=True) if a != b][-10:]
    assert found["differences"] == last
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert [(line["text"], line["answer"], line["other_answer"]) for line in lines] == list(
        zip([row["text"] for row in ROWS], old, new, strict=True)
    )
    assert {(line["answered_by"], line["compared_with"]) for line in lines} == {("reviews/1", "reviews/2")}
    assert shadow("reviews", record).agreed == agreed  # what was recorded can be scored again, and with labels


def test_a_canary_answers_its_share_and_the_same_question_alike(project: Path) -> None:
    live = Live(CHAMPION, print, CHALLENGER, canary=0.5)
    versions = {row["text"]: live.predict(pd.DataFrame([row]), {}).version for row in ROWS}
    assert set(versions.values()) == {"reviews/1", "reviews/2"}
    assert all(live.predict(pd.DataFrame([row]), {}).version == versions[row["text"]] for row in ROWS)
    live.close()
    found = live.comparison()
    assert found is not None
    assert (found["champion"], found["challenger"], found["compared"]) == ("reviews/1", "reviews/2", 2 * len(ROWS))
    assert found["agreed"] == 2 * sum(a == b for a, b in zip(said(1), said(2), strict=True))


def test_no_answer_waits_for_the_other(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "BACKLOG", 2)
    live, open_again = Live(CHAMPION, print, CHALLENGER), threading.Event()
    assert live.shadow
    predict = live.shadow.predictor.predict_normalised
    monkeypatch.setattr(
        live.shadow.predictor, "predict_normalised", lambda rows: (open_again.wait(30), predict(rows))[1]
    )
    for row in ROWS[:10]:
        assert live.predict(pd.DataFrame([row]), {}).version == "reviews/1"
    open_again.set()
    live.close()
    found = live.comparison()
    assert found is not None
    assert found["compared"] + found["missed"] == 10 and found["missed"] >= 7


def test_a_shadow_that_fails_is_logged_and_affects_nobody(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    live = Live(CHAMPION, logged.append, CHALLENGER, record=tmp_path)  # a folder: nothing can be written to it
    assert live.predict(pd.DataFrame(ROWS[:1]), {}).version == "reviews/1"
    live.close()
    assert "not recorded" in logged[-1] and str(tmp_path) in logged[-1]


def test_an_alias_that_moves_is_followed(project: Path) -> None:
    client = connect()
    with served(project, CHAMPION, "--shadow", CHALLENGER, "--refresh", "0.2") as (address, _):
        try:
            crown("reviews", "2")
            health = until(lambda: (h := httpx.get(f"{address}/health").json())["version"] == "reviews/2" and h)
            assert health["shadow"] is None  # champion and challenger are the same now
            response = httpx.get(f"{address}/comparison")
            assert (response.status_code, "no other version" in response.json()["detail"]) == (422, True)
            client.delete_registered_model_alias("reviews", "champion")
            time.sleep(1)
            assert httpx.post(f"{address}/predict", json={"rows": ROWS[:1]}).json()["version"] == "reviews/2"
        finally:
            crown("reviews", "1")
        assert until(lambda: httpx.get(f"{address}/health").json()["version"] == "reviews/1")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"rows": [{"review": "fine"}]}, "the rows have no 'text'; they have: review"),
        ({"rows": [{"text": "fine"}], "options": {"seed": 1}}, "takes no options; there is 'seed'"),
        ({"rows": []}, "at least 1 item"),
        ({"rows": ROWS[:1] * 1001}, "at most 1000 items"),
        ({"rows": ROWS[:1], "column": "text"}, "Extra inputs"),
    ],
)
def test_mistakes_are_told(service: str, body: dict[str, Any], told: str) -> None:
    response = httpx.post(f"{service}/predict", json=body)
    assert response.status_code == 422
    assert told in json.dumps(response.json(), ensure_ascii=False)


@pytest.fixture(scope="module")
def service(project: Path) -> Iterator[str]:
    with served(project, CHALLENGER) as (address, _):
        yield address


def test_too_large_a_request_is_not_read(service: str) -> None:
    assert httpx.post(f"{service}/predict", content=b"x" * (32 * 2**20 + 1)).status_code == 413
    assert httpx.post(f"{service}/predict", content=iter([b"x"])).status_code == 411


def test_on_the_loopback_it_answers_to_no_other_name(service: str) -> None:
    port = httpx.URL(service).port
    assert httpx.get(f"{service}/health", headers={"Host": f"evil.example:{port}"}).status_code == 400
    assert httpx.get(f"{service}/health", headers={"Host": f"localhost:{port}"}).status_code == 200


def test_beyond_this_machine_it_asks_for_a_token(project: Path) -> None:
    command = [TIDEMILL, "serve", CHALLENGER, "--host", "0.0.0.0", "--port", "0"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: 0.0.0.0 can be reached from other machines: set TIDEMILL_SERVE_TOKEN")
    with served(project, CHALLENGER, "--host", "0.0.0.0", TIDEMILL_SERVE_TOKEN=TOKEN) as (address, _):
        address = address.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{address}/health").status_code == 401
        assert httpx.get(f"{address}/health", headers={"Authorization": f"Bearer {TOKEN[:-1]}"}).status_code == 401
        assert httpx.get(f"{address}/health", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_a_port_that_is_taken_and_a_canary_without_a_shadow(project: Path, service: str) -> None:
    port = str(httpx.URL(service).port)
    for arguments, told in (
        (["--port", port], f"127.0.0.1:{port} cannot be listened on"),
        (["--canary", "0.1"], "--shadow"),
    ):
        done = subprocess.run(
            [TIDEMILL, "serve", CHALLENGER, *arguments], cwd=project, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert done.stderr.startswith("error: ") and told in done.stderr and done.stderr.count("\n") == 1


def test_without_a_version_it_does_not_start(project: Path) -> None:
    with pytest.raises(TidemillError, match="nobody is not in the registry"):
        Live("models:/reviews@nobody", print)


def test_the_page_in_a_browser(service: str, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 700})
    asked_for, wrong = [], []
    page.on("request", lambda request: asked_for.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(service)
    page.fill("#text", "good and cheap")
    page.click("button")
    page.wait_for_function("document.getElementById('answer').textContent.includes('sure')")
    [expected] = load(CHALLENGER).predictor.predict(["good and cheap"])["prediction"]
    assert page.inner_text("#answer").split()[0] == expected
    assert page.inner_text("#version") == "reviews/2"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert wrong == []
    assert [url for url in asked_for if not url.startswith((service, "data:"))] == []
    page.close()
