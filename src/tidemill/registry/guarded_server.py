"""MLflow's basic-auth server, which denies by default: what `tidemill.registry.guard.table` does not list is refused.

`mlflow server --app-name tidemill-guarded` finds it. MLflow itself lets everybody move an alias who may edit the model,
and a trainer has to be one of them, for else the trainer could not register.
"""

from typing import Any


def create_app(app: Any = None) -> Any:
    """MLflow's app with passwords and permissions, guarded: both what Flask serves and what FastAPI serves beside it."""
    from mlflow.server import app as flask_app
    from mlflow.server.auth import create_app as create_authenticated_app

    from tidemill.registry.guard import flask_hook, native_routes

    guarded = app or flask_app
    served = create_authenticated_app(guarded)
    flask_hook.add_to(guarded)
    if served is not guarded:  # under uvicorn, FastAPI stands before Flask
        native_routes.add_to(served)
    return served
