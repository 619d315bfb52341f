"""The guard of the routes that Flask serves."""

from typing import Any

from tidemill.registry.guard import requests
from tidemill.registry.guard.decide import FORBIDDEN, is_allowed


def add_to(app: Any) -> None:
    """Let a Flask app refuse what the table does not allow, after MLflow's own hook has found out who asks."""
    from mlflow.server.handlers import catch_mlflow_exception

    app.before_request(catch_mlflow_exception(refuse))


def refuse() -> tuple[str, int] | None:
    """Flask's hook: an answer instead of the route's, or None.

    Raises:
        MlflowException: the body cannot be read, or names what does not exist.
    """
    from flask import request

    if request.url_rule is None:  # no route: Flask answers that itself
        return None
    return None if is_allowed(requests.of_flask()) else (FORBIDDEN, 403)
