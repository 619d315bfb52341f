"""The guard of the routes that FastAPI serves beside Flask, which Flask's hooks do not see."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from tidemill.registry.guard.decide import FORBIDDEN, is_allowed
from tidemill.registry.guard.requests import Request, in_flasks_notation, name_of

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def add_to(app: Any) -> None:
    """Let a FastAPI app refuse what the table does not allow.

    The last in `user_middleware` is the innermost: MLflow's own, before it, has found out who asks.
    """
    from fastapi.middleware import Middleware
    from fastapi.routing import Mount

    native = [route for route in app.routes if not isinstance(route, Mount)]
    app.user_middleware.append(Middleware(NativeRoutes, routes=native))


class NativeRoutes:
    """ASGI middleware: Flask's paths go on to Flask and its hook, all others only if the table has them."""

    def __init__(self, app: App, routes: Sequence[Any]) -> None:
        self.app = app
        self.routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or pass the request on."""
        from fastapi.responses import PlainTextResponse

        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http" or not self._is_native(scope) or await asyncio.to_thread(self._allows, scope):
            await self.app(scope, receive, send)
        else:
            await PlainTextResponse(FORBIDDEN, 403)(scope, receive, send)

    def _is_native(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0].name == "FULL" for route in self.routes)

    def _allows(self, scope: Scope) -> bool:
        from mlflow.exceptions import MlflowException

        request = self._read(scope)
        try:
            return request is not None and is_allowed(request)
        except MlflowException:  # it names what does not exist
            return False

    def _read(self, scope: Scope) -> Request | None:
        """The request by the first route that serves it, as FastAPI chooses; None where that cannot be told."""
        from fastapi.routing import iter_route_contexts

        for route in iter_route_contexts(self.routes):
            found = route.path_regex.match(scope["path"])
            if found and scope["method"] in (route.methods or ()):
                name = name_of(scope["method"], in_flasks_notation(route.path or ""))
                return Request(name, scope.get("state", {}).get("username", ""), path=found.groupdict())
        return None
