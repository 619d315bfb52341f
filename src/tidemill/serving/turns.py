"""Who is worked for, and when: a bounded number of requests, a part of it for each client, and clients take turns."""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import IPv6Address, ip_address

from fastapi import HTTPException
from fastapi.requests import HTTPConnection

from tidemill.serving.params import Serve

SOON = {"Retry-After": "1"}


class Turns:
    """Places for requests, and turns to work; belongs to one event loop."""

    def __init__(self, at_once: int, limits: Serve, waited: Callable[[float], None] = lambda _: None) -> None:
        """Give `at_once` turns at the same time; `waited` receives the seconds that each was waited for."""
        self._free, self._limits, self._waited = at_once, limits, waited
        self._places: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def taken(self) -> int:
        """The number of requests that wait or are worked on."""
        return self._places.total()

    @contextmanager
    def place(self, client: str) -> Iterator[None]:
        """Keep a place for a request of this client.

        Raises:
            HTTPException: all of them, or all that one client may have, are taken.
        """
        if self._places[client] >= self._limits.client:
            raise HTTPException(429, f"{self._limits.client} requests of this client wait already: ask later", SOON)
        if self.taken >= self._limits.waiting:
            raise HTTPException(503, f"{self._limits.waiting} requests wait already: ask later", SOON)
        self._places[client] += 1
        try:
            yield
        finally:
            self._places[client] -= 1
            self._places += Counter()  # forgets clients without a place

    @asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[None]:
        """Wait for a turn: clients get them one after another, the requests of each in their order."""
        begun = time.perf_counter()
        if self._free:
            self._free -= 1
        else:
            await self._called(client)
        self._waited(time.perf_counter() - begun)
        try:
            yield
        finally:
            self._call_next()

    async def _called(self, client: str) -> None:
        call: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(call)
        try:
            await call
        except asyncio.CancelledError:
            if call.done() and not call.cancelled():  # called and cancelled at the same time: the turn is another's
                self._call_next()
            raise

    def _call_next(self) -> None:
        while self._waiting:
            client, calls = self._waiting.popitem(last=False)
            call = calls.popleft()
            if calls:
                self._waiting[client] = calls  # the last in the row now
            if not call.done():
                return call.set_result(None)
        self._free += 1


def client_of(connection: HTTPConnection) -> str:
    """Return the address of a client; in IPv6 its network of 64 bits, of which one client has every address."""
    host = connection.client.host if connection.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return address.exploded[:19] if isinstance(address, IPv6Address) and not address.ipv4_mapped else host
