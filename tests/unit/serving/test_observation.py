"""What an operator sees of a service: its metrics, a line for each request, its traces, and whether it is ready."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.serving.test_service import CHALLENGER, CHAMPION, ROWS, served, until
from tidemill.serving.live import Live
from tidemill.serving.live_comparison import Predictions
from tidemill.serving.observation import Metrics

DASHBOARD = Path(__file__).parents[3] / "docs/reference/grafana-dashboard.json"
SECRET = "nobody else may read this"


@pytest.fixture(scope="module")
def receiver() -> Iterator[tuple[str, list[Any]]]:
    """A receiver of traces: its address, and the spans that came."""
    spans: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent = ExportTraceServiceRequest.FromString(body)
            spans.extend(span for r in sent.resource_spans for s in r.scope_spans for span in s.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", spans
        server.shutdown()


@pytest.fixture(scope="module")
def observed(project: Path, receiver: tuple[str, list[Any]]) -> Iterator[tuple[str, Any]]:
    """A service that was asked for 20 rows, for one that it cannot read, and for a path that it does not have."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver[0], "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with served(project, CHAMPION, "--shadow", CHALLENGER, "--log-requests", **variables) as (address, process):
        with httpx.Client(base_url=address) as client:
            client.post("/predict", json={"rows": ROWS[:20]}).raise_for_status()
            client.post("/predict", json={"rows": [{"text": SECRET}, {"text": None}]})
            client.get("/" + "x" * 300)
            until(lambda: client.get("/comparison").json()["compared"] >= 20)
        yield address, process


def values(address: str) -> dict[tuple[str, ...], float]:
    """Each value of the metrics, by its name and its labels in the order of their names."""
    families = text_string_to_metric_families(httpx.get(f"{address}/metrics").raise_for_status().text)
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value for sample in samples}


def test_metrics_count_requests_rows_and_versions(observed: tuple[str, Any]) -> None:
    found = values(observed[0])
    assert found["tidemill_requests_total", "/predict", "200"] == 2
    assert found["tidemill_requests_total", "other", "404"] == 1
    assert found["tidemill_request_seconds_count", "/predict"] == 2
    assert found["tidemill_queue_seconds_count",] == 2
    assert found["tidemill_batch_rows_sum", "reviews/1"] == 22
    assert found["tidemill_batch_rows_bucket", "20.0", "reviews/1"] == 2
    assert found["tidemill_rows_without_prediction_total", "reviews/1"] == 0
    assert 0 < found["tidemill_prediction_seconds_sum", "reviews/1"] < found["tidemill_request_seconds_sum", "/predict"]
    assert found["tidemill_version", "main", "reviews/1"] == found["tidemill_version", "shadow", "reviews/2"] == 1
    assert (found["tidemill_failing",], found["tidemill_requests_in_service",]) == (0, 0)


def test_rows_without_a_prediction_are_counted(project: Path) -> None:
    metrics = Metrics(Live(CHAMPION, print))
    rows = pd.DataFrame({"prediction": ["pos", None], "reason": [None, "the picture cannot be read"]})
    metrics.predicted(Predictions("reviews/1", rows, 0.1))
    assert 'tidemill_rows_without_prediction_total{version="reviews/1"} 1.0' in metrics.text().decode()


def test_the_disagreement_of_the_shadow_is_that_of_its_comparison(observed: tuple[str, Any]) -> None:
    compared = httpx.get(f"{observed[0]}/comparison").json()
    found = values(observed[0])
    pair = ("reviews/2", "reviews/1")
    assert found["tidemill_shadow_rows_compared", *pair] == compared["compared"] > 0
    assert found["tidemill_shadow_disagreements", *pair] == compared["compared"] - compared["agreed"] > 0


def test_every_metric_of_the_dashboard_is_there(observed: tuple[str, Any]) -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    asked = {name for panel in panels for t in panel["targets"] for name in re.findall(r"tidemill_\w+", t["expr"])}
    known = {name for name, *_ in values(observed[0])}
    assert len(asked) >= 8 and asked <= known


def test_a_trace_has_version_and_rows_and_nothing_that_was_asked(
    observed: tuple[str, Any], receiver: tuple[str, list[Any]]
) -> None:
    _, spans = receiver
    until(lambda: len([span for span in spans if span.name == "POST /predict"]) == 2)
    attributes = [
        {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}
        for span in spans
        if span.name == "POST /predict"
    ]
    assert sorted(found["tidemill.rows"] for found in attributes) == [2, 20]
    assert {found["tidemill.version"] for found in attributes} == {"reviews/1"}
    assert SECRET not in str(spans) and "/comparison" in str(spans) and "/metrics" not in str(spans)


def test_a_line_for_each_request_says_nothing_of_its_rows(project: Path) -> None:
    with served(project, CHAMPION, "--log-requests") as (address, process):
        httpx.post(f"{address}/predict", json={"rows": [{"text": SECRET}]}).raise_for_status()
        httpx.get(f"{address}/nothing")
        process.send_signal(2)
        assert process.stderr
        written = process.stderr.read()
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/predict", 200),
        ("GET", "/nothing", 404),
    ]
    assert (lines[0]["version"], lines[0]["rows"], lines[0]["client"]) == ("reviews/1", 1, "127.0.0.1")
    assert lines[0]["seconds"] > 0 and SECRET not in written


def test_it_is_not_ready_while_no_place_is_free(project: Path) -> None:
    with served(project, CHAMPION, "--limit", "waiting=1") as (address, _):
        assert httpx.get(f"{address}/ready").status_code == 200
        full = until(lambda: _while_asked(address))
    assert full == (503, 200)


def _while_asked(address: str) -> tuple[int, int] | None:
    """What `/ready` and `/health` say while the only place is taken; None where it was free again already."""
    beside = threading.Thread(target=httpx.post, args=(f"{address}/predict",), kwargs={"json": {"rows": ROWS * 16}})
    beside.start()
    try:
        while beside.is_alive():
            if (ready := httpx.get(f"{address}/ready").status_code) == 503:
                return ready, httpx.get(f"{address}/health").status_code
    finally:
        beside.join()
    return None
