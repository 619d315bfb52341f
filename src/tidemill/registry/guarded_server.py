"""MLflow's basic-auth server, and one rule more: only who may manage a model may move its `champion`, or log a decision.

`mlflow server --app-name tidemill-guarded` finds it. MLflow itself lets everybody move an alias who may edit the model,
and a trainer has to be one of them, for else the trainer could not register. Since the alias follows the log of
decisions, an experiment for that log can be made by the same people only; MLflow keeps others from writing to it.
"""

import re
from typing import Any

from tidemill.registry.decision_log import DRAFT, EXPERIMENT
from tidemill.tracking.tags import CHAMPION as ALIAS

ALIAS_ROUTE = "/mlflow/registered-models/alias"
EXPERIMENT_ROUTES = ("/mlflow/experiments/create", "/mlflow/experiments/update")
DECISIONS = re.compile(EXPERIMENT.format("(.+?)") + f"({DRAFT.format('[0-9a-f]+')})?")


def create_app(app: Any = None) -> Any:
    """MLflow's app with passwords and permissions, guarded."""
    from mlflow.server import app as flask_app
    from mlflow.server.auth import create_app as create_authenticated_app

    guarded = app or flask_app
    served = create_authenticated_app(guarded)
    guarded.before_request(_guard)  # after MLflow's own check: who asks is known by then
    return served


def _guard() -> Any:
    """Refuse what belongs to a decision to whom may not manage the model it is about."""
    from flask import request
    from mlflow.server import auth

    given = [request.args.to_dict(), request.get_json(force=True, silent=True)]
    models = {model for asked in given if isinstance(asked, dict) for model in _decided(request.path, asked)}
    if request.method == "GET" or auth.sender_is_admin() or all(_may_manage(model) for model in models):
        return None
    return auth.make_forbidden_response()


def _decided(path: str, asked: dict[str, Any]) -> set[str]:
    """The models whose champion or whose log of decisions a request is about."""
    if path.endswith(ALIAS_ROUTE):
        return {str(asked.get("name"))} if asked.get("alias") == ALIAS else set()
    if path.endswith(EXPERIMENT_ROUTES):
        names = (DECISIONS.fullmatch(str(asked.get(field))) for field in ("name", "new_name"))
        return {name[1] for name in names if name}
    return set()


def _may_manage(model: str) -> bool:
    from mlflow.server import auth

    return bool(auth._get_registered_model_permission(model).can_manage)  # the public one knows the alias' route only
