"""What an operator sees of a service: metrics for Prometheus, and a line for each request.

The names follow Prometheus' own rules: base units, `_total` for what only grows.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tidemill.serving.asgi import App, Message, Receive, Scope, Send
from tidemill.serving.live import Live
from tidemill.serving.live_comparison import Predictions
from tidemill.serving.turns import Turns

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
OTHER = "other"
"""The path of a request that names none of the service's: whoever asks may not make a series for each."""


class Metrics:
    """Metrics of one service. Safe to use from many threads."""

    def __init__(self, live: Live) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "tidemill_requests", "Requests, by path and status.", ["path", "status"], registry=self.registry
        )
        self._seconds = self._histogram(
            "request_seconds", "Seconds from a request's head to the end of its response.", SECONDS, "path"
        )
        self._waited = self._histogram("queue_seconds", "Seconds that a request waited for its turn.", SECONDS)
        self._predicted = self._histogram(
            "prediction_seconds", "Seconds of predicting the rows of a request.", SECONDS, "version"
        )
        self._rows = self._histogram("batch_rows", "Rows that were predicted at once.", ROWS, "version")
        self._refused = Counter(
            "tidemill_rows_without_prediction", "Rows that could not be predicted.", ["version"], registry=self.registry
        )
        self._gauge("failing", "1 while something does not work.", lambda: live.troubles.present)
        self.registry.register(_Versions(live))

    def watch(self, turns: Turns) -> None:
        """Show how many requests wait or are worked on."""
        self._gauge("requests_in_service", "Requests that wait or are worked on.", lambda: turns.taken)

    def _histogram(self, name: str, what: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"tidemill_{name}", what, labels, buckets=buckets, registry=self.registry)

    def _gauge(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Show a value that is read when somebody looks."""
        Gauge(f"tidemill_{name}", what, registry=self.registry).set_function(value)

    def requested(self, path: str, status: int, seconds: float) -> None:
        """Count a request that is over."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def waited(self, seconds: float) -> None:
        """Count a turn that was waited for."""
        self._waited.observe(seconds)

    def predicted(self, predictions: Predictions) -> None:
        """Count the rows of a request."""
        version = predictions.version
        self._predicted.labels(version).observe(predictions.seconds)
        self._rows.labels(version).observe(len(predictions.rows))
        self._refused.labels(version).inc(int(predictions.rows["reason"].notna().sum()))

    def text(self) -> bytes:
        """Return all of them in Prometheus' text format."""
        return generate_latest(self.registry)


class _Versions(Collector):
    """The versions that predict now, and how they compare; read when somebody looks, for an alias moves meanwhile."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def collect(self) -> Iterator[Metric]:
        """Yield the versions, and their comparison where there are two."""
        versions = GaugeMetricFamily(
            "tidemill_version", "1 for each version that predicts, by its role.", labels=["role", "version"]
        )
        versions.add_metric(["main", self._live.main.name], 1)
        if shadow := self._live.shadow:
            versions.add_metric(["shadow", shadow.name], 1)
        yield versions
        if (compared := self._live.comparison()) is not None:
            yield from _comparison(compared)


def _comparison(found: dict[str, Any]) -> Iterator[Metric]:
    labels = ["champion", "challenger"]
    values = [found[name] for name in labels]
    for name, what, value in (
        ("tidemill_shadow_rows_compared", "Rows that both versions predicted.", found["compared"]),
        ("tidemill_shadow_rows_missed", "Rows that only one version predicted.", found["missed"]),
        ("tidemill_shadow_disagreements", "Rows on which the versions differ.", found["compared"] - found["agreed"]),
    ):
        metric = GaugeMetricFamily(name, what, labels=labels)
        metric.add_metric(values, value)
        yield metric


class Observed:
    """Middleware that counts each request when it is over, and writes a line of it where one is wanted."""

    def __init__(self, app: App, metrics: Metrics, paths: frozenset[str], log: Callable[[str], None] | None) -> None:
        """Prepare it.

        Args:
            paths: those of the service; the others are counted together.
            log: receives a JSON object for each request; None where no log is wanted.
        """
        self.app, self.metrics, self.paths, self.log = app, metrics, paths, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begun, status = time.perf_counter(), 499  # as nginx calls a client that is gone before its response

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            seconds = time.perf_counter() - begun
            self.metrics.requested(scope["path"] if scope["path"] in self.paths else OTHER, status, seconds)
            if self.log:
                self.log(_line(scope, status, seconds))


def _line(scope: Scope, status: int, seconds: float) -> str:
    """Return what a log keeps of a request: nothing of its rows."""
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "client": (scope.get("client") or [""])[0],
        "method": scope["method"],
        "path": scope["path"][:200],
        "status": status,
        "seconds": round(seconds, 6),
    }
    return json.dumps(entry | scope.get("state", {}).get("predicted", {}), ensure_ascii=False)


def note_prediction(scope: Scope, predictions: Predictions) -> None:
    """Keep for the log's line of a request who predicted how many rows."""
    state = scope.setdefault("state", {})
    state["predicted"] = {"version": predictions.version, "rows": len(predictions.rows)}
