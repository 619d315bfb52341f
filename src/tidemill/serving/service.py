"""The HTTP service: rows as JSON in, predictions as JSON out, and a page to try it on."""

import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from tidemill.core.errors import TidemillError
from tidemill.core.stopping import Stopped
from tidemill.serving import observation, requests, tracing
from tidemill.serving.access import Access
from tidemill.serving.asgi import App, Receive, Scope, Send
from tidemill.serving.live import Live
from tidemill.serving.live_comparison import Predictions
from tidemill.serving.observation import Metrics, Observed
from tidemill.serving.params import Serve
from tidemill.serving.predictions import records
from tidemill.serving.turns import SOON, Turns, client_of
from tidemill.serving.work import Work

REFUSED = 422
RETURNED = ["prediction", "confidence", "reason"]
"""What a response holds of each row."""
PATHS = frozenset({"/", "/health", "/ready", "/metrics", "/predict", "/stream", "/comparison"})
"""What is counted by its path."""
BODY = {"content": {"application/json": {"schema": requests.PredictionRequest.model_json_schema()}}}


class Cut(Exception):
    """A stream ended before its text did; the connection is closed, so that nobody takes it for the whole."""


def application(
    live: Live,
    token: str | None,
    limits: Serve,
    refresh: float,
    kill: Callable[[], None] | None = None,
    log: Callable[[str], None] | None = None,
) -> FastAPI:
    """Return the service.

    Args:
        live: the versions that predict.
        token: what requests have to send; where there is none, it accepts no other name than that of this machine.
        limits: what a request and a client may ask.
        refresh: seconds between two checks of where the aliases point.
        kill: called where the service does not end in its time, whatever a thread waits for; None waits on.
        log: receives a JSON object for each request, without its rows; None where no log is wanted.
    """
    metrics = Metrics(live)
    turns, ended = Turns(_parallel_requests(), limits, metrics.waited), threading.Event()
    metrics.watch(turns)
    following = _following(live, refresh, ended, limits, kill)
    app = FastAPI(title="Tidemill", docs_url=None, redoc_url=None, lifespan=following)
    app.add_middleware(Places, turns=turns)
    app.add_middleware(Access, token=token)
    app.add_middleware(Observed, metrics=metrics, paths=PATHS, log=log)

    @app.exception_handler(TidemillError)
    def refused(_: Request, error: TidemillError) -> Response:
        return JSONResponse({"detail": str(error)}, REFUSED)

    @app.exception_handler(Stopped)
    def stopped(_: Request, error: Stopped) -> Response:
        return JSONResponse({"detail": str(error)}, 503, SOON)

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        return files("tidemill.serving").joinpath("page.html").read_text(encoding="utf-8")

    @app.get("/health")
    async def health() -> dict[str, Any]:  # at once, also where every thread waits for a core
        predictor, shadow = live.main.predictor, live.shadow
        options = predictor.options({})
        return {
            "version": live.main.name,
            "shadow": shadow.name if shadow else None,
            "task": predictor.task,
            "inputs": list(predictor.inputs),
            "cells": "columns" in predictor.spec,
            "options": options.model_dump() if options else {},
            "streams": predictor.streams,
            "requests": turns.taken,
            "status": "failing" if live.troubles.present else "ok",
            "troubles": live.troubles.document(),
        }

    @app.get("/ready")
    async def ready() -> Response:
        """Whether another request is welcome: a balancer sends it elsewhere meanwhile."""
        full = turns.taken >= limits.waiting
        return JSONResponse({"detail": "no place is free" if full else "ready"}, 503 if full else 200)

    @app.get("/metrics")
    def shown_metrics() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    @app.post("/predict", openapi_extra={"requestBody": BODY})
    async def predict(request: Request) -> Response:
        content = await requests.body(request, limits)
        work = Work(request, turns, limits.seconds, ended)
        predictions = await work.step(lambda: _predicted(live, content, limits))
        metrics.predicted(predictions)
        observation.note_prediction(request.scope, predictions)
        tracing.describe(predictions)
        return _response(predictions)

    @app.post("/stream", openapi_extra={"requestBody": BODY})
    async def stream(request: Request) -> Response:
        content = await requests.body(request, limits)
        work = Work(request, turns, limits.seconds, ended)
        pieces = await work.step(lambda: _begun(live, content, limits))
        return StreamingResponse(_rest(work, *pieces), media_type="text/plain; charset=utf-8")

    @app.get("/comparison")
    def comparison() -> dict[str, Any]:
        found = live.comparison()
        if found is None:
            raise TidemillError("no other version is compared with the one that is served")
        return found

    return app


class Places:
    """Middleware that keeps a place for each request that asks for work, until its response is sent."""

    def __init__(self, app: App, turns: Turns) -> None:
        self.app, self.turns = app, turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or refuse it at once."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return await self.app(scope, receive, send)
        try:
            with self.turns.place(client_of(Request(scope))):
                await self.app(scope, receive, send)
        except HTTPException as full:
            await JSONResponse({"detail": full.detail}, full.status_code, dict(full.headers or {}))(
                scope, receive, send
            )
        except Cut:
            pass  # the server closes a connection whose response is not complete


def _parallel_requests() -> int:
    """Return how many requests are predicted at the same time: as many as there are cores for torch's threads.

    More would compete for the cores, and all of them take longer. What is only compared is not counted: no response
    waits for it.
    """
    import torch

    return max(1, (os.cpu_count() or 1) // torch.get_num_threads())


def _predicted(live: Live, content: bytes, limits: Serve) -> Predictions:
    request = requests.read(content, limits, live.main.predictor)
    return live.predict(request.table(), request.options)


def _response(predictions: Predictions) -> Response:
    return JSONResponse({"version": predictions.version, "answers": records(predictions.rows[RETURNED])})


Next = Callable[[], str | None]
"""Returns the next piece of a text, None after the last."""


def _begun(live: Live, content: bytes, limits: Serve) -> tuple[str | None, Next]:
    """Return the first piece, so that an error of the request is known before the response begins, and the others."""
    predictor = live.main.predictor
    request = requests.read(content, limits, predictor)
    if not predictor.streams or len(request.rows) != 1:
        raise TidemillError("only a text generator can stream, one row at a time: POST /predict")
    pieces = predictor.stream(request.table(), **request.options)

    def following() -> str | None:
        return next(pieces, None)

    return following(), following


async def _rest(work: Work, piece: str | None, following: Next) -> AsyncIterator[str]:
    try:
        while piece is not None:
            yield piece
            piece = await work.step(following)
    except Stopped as error:
        raise Cut from error


def _following(
    live: Live, refresh: float, ended: threading.Event, limits: Serve, kill: Callable[[], None] | None
) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def following(_: FastAPI) -> AsyncIterator[None]:
        def follow() -> None:
            while not ended.wait(refresh):
                live.refresh()

        threading.Thread(target=follow, daemon=True).start()
        yield
        ended.set()
        if kill is not None:
            last = threading.Timer(limits.shutdown + 1, kill)
            last.daemon = True
            last.start()
        live.close(limits.shutdown)

    return following
