"""A request, read with the functions that MLflow's own handlers read it with, so that both read the same."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

PARAMETER = re.compile(r"{(\w+)(:path)?}")


@dataclass(frozen=True)
class Request:
    """What an account asks for."""

    route: str
    """Method and rule in Flask's notation, e.g. `GET /api/2.0/mlflow/runs/get`; see `name_of`."""
    account: str
    message: Any = None
    """The protobuf message MLflow makes of the body; None where its route takes none."""
    path: Mapping[str, str] = field(default_factory=dict)
    """The parts of the path that the rule names."""


def name_of(method: str, rule: str) -> str:
    """The one name of a route: without the server's static prefix, and the same for `/api` and `/ajax-api`."""
    from mlflow.server.handlers import STATIC_PREFIX_ENV_VAR

    rule = rule.removeprefix(os.environ.get(STATIC_PREFIX_ENV_VAR, "").rstrip("/"))
    return f"{method} {re.sub('^/ajax-api/', '/api/', rule)}"


def in_flasks_notation(template: str) -> str:
    """A FastAPI path template as a Flask rule: `{path:path}` is `<path:path>`."""
    return PARAMETER.sub(lambda found: f"<{'path:' if found[2] else ''}{found[1]}>", template)


def of_flask() -> Request:
    """The request that Flask is about to dispatch.

    Raises:
        MlflowException: its body is not a JSON object, or no message of its route.
    """
    from flask import g, request

    assert request.url_rule is not None
    route = name_of(request.method, request.url_rule.rule)
    account = g.get("mlflow_authenticated_user", "")
    return Request(route, account, _message(route), request.view_args or {})


def _message(route: str) -> Any:
    """The message in the body of a request that may change something; a path says all that is asked of a file.

    MLflow decodes a JSON string once more, and takes what it cannot decode for an empty object; both are refused here.
    """
    from flask import request
    from mlflow.exceptions import MlflowException
    from mlflow.server import handlers

    kind = _messages().get(route)
    if kind is None or request.method == "GET" or request.view_args:
        return None
    if request.get_data() and not isinstance(handlers._get_request_json(), dict):
        raise MlflowException.invalid_parameter_value("The body of the request is not a JSON object")
    return handlers._get_request_message(kind())


@cache
def _messages() -> dict[str, Any]:
    """The kind of message of each route that takes one."""
    from mlflow.server.handlers import get_endpoints

    return {
        name_of(method, rule): kind
        for rule, kind, methods in get_endpoints(lambda kind: kind)
        if isinstance(kind, type)  # of other routes it is the function that handles them
        for method in methods
    }
