"""The HTTP service: rows as JSON in, predictions as JSON out, and a page to try it on."""

import hmac
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from importlib.resources import files
from ipaddress import ip_address
from socket import create_server, socket
from typing import Any

import pandas as pd
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from tidemill.core.errors import TidemillError
from tidemill.serving.live import Live
from tidemill.serving.predictions import records

TOKEN = "TIDEMILL_SERVE_TOKEN"
ROWS = 1000
"""Rows a request may hold."""
BYTES = 32 * 2**20
"""Bytes a request may hold."""
REFUSED = 422
RETURNED = ["prediction", "confidence", "reason"]
"""What a response holds of each row."""
Call = Callable[[Request], Awaitable[Response]]


class PredictionRequest(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="forbid")

    rows: list[dict[str, Any]] = Field(min_length=1, max_length=ROWS)
    """The task's inputs by name, as `{"text": "…"}`; a picture is base64 text."""
    options: dict[str, Any] = {}
    """Those of the task, `{"temperature": 0.5}`."""


def listen(host: str, port: int) -> socket:
    """Return a socket that is bound: to the loopback, unless there is a token to ask for.

    Raises:
        TidemillError: the address can be reached from elsewhere and there is no token, or it is in use.
    """
    if not _is_loopback(host) and not os.environ.get(TOKEN):
        raise TidemillError(
            f"{host} can be reached from other machines: set {TOKEN} to the token that they have to send, or leave --host out"
        )
    try:
        return create_server((host, port))
    except OSError as error:
        raise TidemillError(f"{host}:{port} cannot be listened on: {error.strerror or error}") from error


def application(live: Live, host: str, refresh: float) -> FastAPI:
    """Return the service.

    Args:
        live: the versions that predict.
        host: the address it listens on; on the loopback it accepts no other name, otherwise it asks for the token.
        refresh: seconds between two checks of where the aliases point.
    """
    app = FastAPI(title="Tidemill", docs_url=None, redoc_url=None, lifespan=_following(live, refresh))

    @app.exception_handler(TidemillError)
    def refused(_: Request, error: TidemillError) -> Response:
        return JSONResponse({"detail": str(error)}, REFUSED)

    @app.middleware("http")
    async def guarded(request: Request, call_next: Call) -> Response:
        if int(request.headers.get("content-length", 0)) > BYTES:
            return JSONResponse({"detail": f"a request may hold {BYTES:,} bytes"}, 413)
        if "transfer-encoding" in request.headers:
            return JSONResponse({"detail": "send the length of the request with it"}, 411)
        if not _is_loopback(host):
            sent = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(sent.encode(), os.environ[TOKEN].encode()):
                return JSONResponse({"detail": f"send the header 'Authorization: Bearer …' with {TOKEN}"}, 401)
        elif not _is_loopback(request.url.hostname or ""):  # a page elsewhere that gave its name this address
            return JSONResponse({"detail": "this service accepts only the name of this machine"}, 400)
        return await call_next(request)

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
            "inputs": list(predictor.rows.INPUTS),
            "options": options.model_dump() if options else {},
            "streams": predictor.streams,
        }

    @app.post("/predict")
    def predict(request: PredictionRequest) -> dict[str, Any]:
        predictions = live.predict(pd.DataFrame(request.rows), request.options)
        return {"version": predictions.version, "answers": records(predictions.rows[RETURNED])}

    @app.post("/stream")
    def stream(request: PredictionRequest) -> StreamingResponse:
        predictor = live.main.predictor
        if not predictor.streams or len(request.rows) != 1:
            raise TidemillError("only a text generator can stream, one row at a time: POST /predict")
        pieces = _begun(predictor.stream(pd.DataFrame(request.rows), **request.options))
        return StreamingResponse(pieces, media_type="text/plain; charset=utf-8")

    @app.get("/comparison")
    def comparison() -> dict[str, Any]:
        found = live.comparison()
        if found is None:
            raise TidemillError("no other version is compared with the one that is served")
        return found

    return app


def _following(live: Live, refresh: float) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def following(_: FastAPI) -> AsyncIterator[None]:
        ended = threading.Event()

        def follow() -> None:
            while not ended.wait(refresh):
                live.refresh()

        threading.Thread(target=follow, daemon=True).start()
        yield
        ended.set()
        live.close()

    return following


def _begun(pieces: Iterator[str]) -> Iterator[str]:
    """Yield the same pieces, the first computed already: an error of the request is known before the response begins."""
    first = next(pieces, "")

    def rest() -> Iterator[str]:
        yield first
        yield from pieces

    return rest()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
