"""Who may ask: with the token where there is one, and no page of another site."""

import asyncio
import hmac
import os
from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi import Response
from fastapi.requests import HTTPConnection
from fastapi.responses import JSONResponse

from tidemill.core.errors import TidemillError
from tidemill.serving.asgi import App, Receive, Scope, Send

TOKEN = "TIDEMILL_SERVE_TOKEN"
SHORTEST = 24
"""Characters of the shortest token: as many as 16 random bytes have in base64."""
PENALTY = 1.0
"""Seconds until a wrong token is refused."""
OPEN = ("/",)
"""What is sent without a token: the page, which asks for it."""


def token_for(host: str) -> str | None:
    """Return the token that requests have to send, if there is one.

    Raises:
        TidemillError: it is so short that it could be guessed, or no header can hold it, or there is none for an address that others can reach.
    """
    token = os.environ.get(TOKEN) or None
    if token is None and not is_loopback(host):
        raise TidemillError(
            f"{host} can be reached from other machines: set {TOKEN} to the token that they have to send, or leave --host out"
        )
    if token is not None and (len(token) < SHORTEST or not token.isascii()):
        raise TidemillError(
            f"{TOKEN} has {len(token)} characters and needs {SHORTEST} of ASCII, not to be guessed: "
            "`python -c 'import secrets; print(secrets.token_urlsafe())'` makes one"
        )
    return token


def is_loopback(host: str) -> bool:
    """Whether an address, or a name, is that of this machine for itself."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _names_this_machine(host: str | None) -> bool:
    """Whether the header Host, if there is one, has a name of this machine for itself."""
    try:
        return host is None or is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def _is_same(page: str, host: str | None) -> bool:
    """Whether a page is this server's own, under the same name or another one of this machine for itself."""
    if page == host:
        return True
    ports = [urlsplit(f"//{place}").port for place in (page, host)]
    return ports[0] == ports[1] and page != "" and _names_this_machine(page) and _names_this_machine(host)


class Access:
    """Middleware that lets requests through which may ask."""

    def __init__(self, app: App, token: str | None) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or refuse it."""
        asks = scope["type"] in ("http", "websocket")
        refusal = await self._refusal(HTTPConnection(scope)) if asks else None
        await (refusal or self.app)(scope, receive, send)

    async def _refusal(self, request: HTTPConnection) -> Response | None:
        # a page elsewhere that gave its name this address; where there is a token, it does not know it
        if self.token is None and not _names_this_machine(request.headers.get("host")):
            return JSONResponse({"detail": "this service accepts only the name of this machine"}, 400)
        origin = request.headers.get("origin")
        if origin is not None and not _is_same(urlsplit(origin).netloc, request.headers.get("host")):
            return JSONResponse({"detail": f"pages of {origin[:100]} may not ask this service"}, 403)
        if self.token is None or request.url.path in OPEN or self._is_known(request):
            return None
        if "authorization" in request.headers:
            await asyncio.sleep(PENALTY)
        detail = f"send the header 'Authorization: Bearer …' with {TOKEN}"
        return JSONResponse({"detail": detail}, 401, {"WWW-Authenticate": "Bearer"})

    def _is_known(self, request: HTTPConnection) -> bool:
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        wanted = (self.token or "").encode()
        return scheme.lower() == "bearer" and hmac.compare_digest(sent.strip().encode("latin-1"), wanted)
