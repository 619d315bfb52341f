"""MLflow's basic-auth server, and one rule more: only who may manage a model may move its `champion`.

`mlflow server --app-name tidemill-guarded` finds it. MLflow itself lets everybody move an alias who may edit the model,
and a trainer has to be one of them, for else the trainer could not register.
"""

from typing import Any

from tidemill.registry.champion import ALIAS

ALIAS_ROUTE = "/mlflow/registered-models/alias"


def create_app(app: Any = None) -> Any:
    """MLflow's app with passwords and permissions, guarded."""
    from mlflow.server import app as flask_app
    from mlflow.server.auth import create_app as create_authenticated_app

    guarded = app or flask_app
    served = create_authenticated_app(guarded)
    guarded.before_request(_guard)  # after MLflow's own check: who asks is known by then
    return served


def _guard() -> Any:
    """Refuse to set or delete the champion to whom may not manage the model."""
    from flask import request
    from mlflow.server import auth

    if not request.path.endswith(ALIAS_ROUTE) or request.method not in ("POST", "DELETE"):
        return None
    body = request.get_json(force=True, silent=True) or {}
    if (
        ALIAS not in (request.args.get("alias"), body.get("alias"))
        or auth.sender_is_admin()
        or auth.validate_can_manage_registered_model()
    ):
        return None
    return auth.make_forbidden_response()
