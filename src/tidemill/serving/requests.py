"""Requests as they come: read no further than the limits allow, and refused in one line that says what is wrong."""

import asyncio
import base64
import math
from typing import Any

import numpy as np
import pandas as pd
from fastapi import HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from tidemill.core import conversations, pictures
from tidemill.core.errors import TidemillError
from tidemill.core.stopping import Stopped
from tidemill.inference.predictor import Predictor
from tidemill.serving.params import Serve
from tidemill.serving.typed_row import PICTURE


class PredictionRequest(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rows: list[dict[str, JsonValue]] = Field(min_length=1)
    """The task's inputs by name, as `{"text": "…"}`; a picture is base64 text, and of a conversation `messages` are the
    text."""
    options: dict[str, JsonValue] = {}
    """Those of the task, `{"temperature": 0.5}`."""

    def table(self) -> pd.DataFrame:
        """Return the rows with their values as they came: pandas would guess types, and fails for some."""
        return pd.DataFrame(self.rows, dtype=object)


async def body(request: Request, limits: Serve) -> bytes:
    """Return the body of a request.

    Raises:
        HTTPException: it has no length, is too long, comes too slowly, or is not said to be JSON.
        Stopped: the client is gone.
    """
    length = request.headers.get("content-length")
    if length is None:
        raise HTTPException(411, "send the length of the request with it")
    if int(length) > limits.bytes:
        raise HTTPException(413, f"a request may hold {limits.bytes:,} bytes")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "send JSON, with the header 'Content-Type: application/json'")
    try:
        async with asyncio.timeout(limits.upload):
            return await _received(request)
    except TimeoutError as error:
        raise HTTPException(
            408, f"the request was not there after {limits.upload:g} s", {"Connection": "close"}
        ) from error


async def _received(request: Request) -> bytes:
    content, more = bytearray(), True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Stopped("the client is gone")
        content += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(content)


def read(content: bytes, limits: Serve, predictor: Predictor) -> PredictionRequest:
    """Return the request that a body holds.

    Raises:
        TidemillError: it is none, asks for more than the limits allow, or has a value that the task cannot take.
    """
    values = content.count(b",") + content.count(b"[") + content.count(b"{")
    _check("commas and brackets", values, limits.values, "values")
    try:
        request = PredictionRequest.model_validate_json(content)
    except ValidationError as error:
        detail = error.errors(include_input=False, include_url=False)[0]
        raise TidemillError(
            ": ".join([*(".".join(map(str, detail["loc"])),) * bool(detail["loc"]), detail["msg"]])
        ) from error
    if len(request.rows) > limits.rows:
        raise TidemillError(f"rows: there are {len(request.rows):,}, and may be at most {limits.rows} items")
    _check("names of columns", len(set().union(*request.rows)), limits.keys, "keys")
    if not _is_finite(request.rows):
        raise TidemillError("rows: NaN and Infinity are not JSON")
    if "chat" in predictor.spec:
        request.rows = [_with_text(row, f"rows.{number}") for number, row in enumerate(request.rows)]
    _check_inputs(request.rows, limits, predictor)
    _check_options(request, limits, predictor)
    return request


def _with_text(row: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a row in which `messages` stand as its text.

    Raises:
        TidemillError: they are something else.
    """
    if "messages" not in row:
        return row
    if not isinstance(row["messages"], list):
        raise TidemillError(f"{where}.messages: this is no list: {str(row['messages'])[:40]}")
    try:
        written = conversations.written(row["messages"])
    except ValueError as error:
        raise TidemillError(f"{where}.messages: {error}") from error
    return {name: value for name, value in row.items() if name != "messages"} | {"text": written}


def _check_inputs(rows: list[dict[str, Any]], limits: Serve, predictor: Predictor) -> None:
    characters = pixels = 0
    for name in predictor.inputs:
        for number, row in enumerate(rows):
            value = row.get(name)
            if value is None:
                continue  # the task says what becomes of it
            if name == PICTURE:
                pixels += _pixels(value, f"rows.{number}.{name}")
            elif isinstance(value, str):
                characters += len(value)
            elif "columns" not in predictor.spec:
                raise TidemillError(f"rows.{number}.{name}: this is no text: {str(value)[:40]}")
            elif isinstance(value, list | dict):
                raise TidemillError(f"rows.{number}.{name}: this is no number or text: {str(value)[:40]}")
    _check("characters", characters, limits.characters, "characters")
    _check("pixels", pixels, limits.pixels, "pixels")


def _pixels(value: Any, where: str) -> int:
    """Return the number of pixels of a picture, by what its header says; 0 where it cannot be read."""
    if isinstance(value, str):
        try:
            width, height = pictures.size(base64.b64decode(value, validate=True))
        except ValueError:
            return 0  # the answer says why
        return width * height
    try:
        return int(np.asarray(pictures.from_input(value)).size)
    except TidemillError as error:
        raise TidemillError(f"{where}: {error}") from error


def _check_options(request: PredictionRequest, limits: Serve, predictor: Predictor) -> None:
    options = predictor.options(request.options)
    chosen = options.model_dump() if options else {}
    tokens, stop = len(request.rows) * chosen.get("new_tokens", 0), chosen.get("stop", [])
    _check("tokens to generate", tokens, limits.new_tokens, "new_tokens")
    _check("stop texts", len(stop), limits.stop, "stop")
    _check("characters of stop texts", sum(map(len, stop)), limits.stop_characters, "stop_characters")


def _check(what: str, count: int, limit: int, name: str) -> None:
    if count > limit:
        raise TidemillError(f"the request has {count:,} {what}; the limit `{name}` is {limit:,}")


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, list) or all(map(_is_finite, value))
