"""Connections of the HTTP server: closed where nothing comes, or where one client has too many."""

import math
from asyncio import TimerHandle, Transport
from socket import AF_INET, AF_INET6, create_server, socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tidemill.core.errors import TidemillError
from tidemill.serving.asgi import App
from tidemill.serving.params import Serve

OF_ALL = 512
"""Connections of all clients together, from which on requests are refused; a process may have 1024 open files."""


def listen(host: str, port: int) -> socket:
    """Return a socket that is bound.

    Raises:
        TidemillError: the address is in use, or none of this machine.
    """
    try:
        return create_server((host, port), family=AF_INET6 if ":" in host else AF_INET)
    except OSError as error:
        raise TidemillError(f"{host}:{port} cannot be listened on: {error.strerror or error}") from error


def server(app: App, limits: Serve) -> uvicorn.Server:
    """Return the server of an application."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=_limited(limits),
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            proxy_headers=False,  # anybody could write another client's address into them
            server_header=False,
            limit_concurrency=OF_ALL,
            timeout_keep_alive=math.ceil(limits.idle),
            timeout_graceful_shutdown=math.ceil(limits.shutdown),
        )
    )


def _limited(limits: Serve) -> type[H11Protocol]:
    class Limited(Connection):
        idle, of_client = limits.idle, limits.connections

    return Limited


class Connection(H11Protocol):
    """A connection that is closed while no request is worked on for too long, or while its response is not read."""

    idle: float
    of_client: int
    _silent: TimerHandle | None = None
    _unread: TimerHandle | None = None

    @property
    def host(self) -> str:
        """The address of the client."""
        return self.client[0] if self.client else ""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin, or close at once what is one too many."""
        super().connection_made(transport)
        same = [other for other in self.connections if isinstance(other, Connection) and other.host == self.host]
        if len(same) > self.of_client:
            transport.abort()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came; bytes of a head that is not whole do not prolong its time."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._unread = self.loop.call_later(self.idle, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing."""
        super().resume_writing()
        _cancel(self._unread)

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        super().connection_lost(error)
        _cancel(self._silent)
        _cancel(self._unread)

    def _watch(self) -> None:
        works: Any = self.cycle is not None and not self.cycle.response_complete
        if works:
            _cancel(self._silent)
            self._silent = None
        elif self._silent is None:
            self._silent = self.loop.call_later(self.idle, self.transport.abort)


def _cancel(timer: TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
