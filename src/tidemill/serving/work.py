"""What a request asks for, done in a thread when it is its turn, and ended when nobody waits for it any more."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request

from tidemill.core.stopping import Stopped, stopped_by
from tidemill.serving.turns import Turns, client_of

Result = TypeVar("Result")


class Work:
    """The work for one request, in one step or several."""

    def __init__(self, request: Request, turns: Turns, seconds: float, ended: threading.Event) -> None:
        """Prepare it.

        Args:
            request: its body must have been read.
            turns: they tell when it may go on.
            seconds: how long it may take from now on, waiting included.
            ended: set when the service ends.
        """
        self._request, self._turns, self._ended = request, turns, ended
        self._client, self._gone = client_of(request), threading.Event()
        self._seconds, self._deadline = seconds, time.monotonic() + seconds

    async def step(self, function: Callable[[], Result]) -> Result:
        """Return what the function returns.

        Raises:
            Stopped: the time is over, the client is gone, or the service has ended.
        """
        work = asyncio.ensure_future(self._in_turn(function))
        work.add_done_callback(_noticed)
        left = asyncio.ensure_future(self._left())
        try:
            await asyncio.wait({work, left}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise Stopped("the client is gone")
            return work.result()
        finally:
            if not work.done():
                self._gone.set()
                work.cancel()
            left.cancel()

    async def _in_turn(self, function: Callable[[], Result]) -> Result:
        try:
            async with asyncio.timeout(self._deadline - time.monotonic()) as waiting, self._turns.turn(self._client):
                waiting.reschedule(None)
                return await self._in_thread(function)
        except TimeoutError as error:
            raise self._too_long() from error

    async def _in_thread(self, function: Callable[[], Result]) -> Result:
        thread = asyncio.ensure_future(asyncio.to_thread(self._stoppable, function))
        thread.add_done_callback(_noticed)
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            await asyncio.wait({thread})  # the turn lasts as long as the thread
            raise

    def _stoppable(self, function: Callable[[], Result]) -> Result:
        with stopped_by(self._condition):
            self._condition()
            return function()

    def _condition(self) -> None:
        if self._gone.is_set() or self._ended.is_set():
            raise Stopped("the client is gone, or the service has ended")
        if time.monotonic() > self._deadline:
            raise self._too_long()

    def _too_long(self) -> Stopped:
        return Stopped(f"the request has taken {self._seconds:g} s: ask for less at once")

    async def _left(self) -> None:
        """Return when the client has closed its connection."""
        while (await self._request.receive())["type"] != "http.disconnect":
            pass


def _noticed(done: "asyncio.Future[Any]") -> None:
    """Take note of an exception that nobody waits for any more, which asyncio would log as forgotten."""
    if not done.cancelled():
        done.exception()
