"""Which account may send which request: all that is allowed, and nothing else is.

A request is allowed if one line of its route allows it: the account holds the right on what the request is about, and
the condition is met. MLflow's own permissions hold beside this table, which never gives a right that MLflow refuses.
"""

from collections.abc import Callable
from typing import NamedTuple

from tidemill.registry.guard.conditions import (
    Condition,
    alias,
    always,
    claims_the_decision,
    claims_the_proposal,
    first_run,
    not_of_a_version,
    of_no_champion,
    tag,
    tags,
    to_an_ordinary_name,
    to_its_log,
    without_location,
)
from tidemill.registry.guard.requests import Request
from tidemill.registry.guard.rights import Resource, Right
from tidemill.registry.guard.subjects import (
    decision_log,
    draft_of_log,
    existing_model,
    experiment,
    model,
    new_draft_of_log,
    new_experiment,
    run_file,
    server,
)
from tidemill.tracking import tags as stored

PUBLIC, READ, EDIT, MANAGE, ADMIN = Right


class Allowed(NamedTuple):
    """One line of the table."""

    route: str
    right: Right
    on: Callable[[Request], Resource | None]
    provided: Condition = always


LINEAGE_TAGS = {
    *(stored.COMMIT, stored.DIRTY, stored.DVC_LOCK, stored.DATA, stored.DETERMINISM, stored.DEVICE),
    *(stored.PARENT_RUN, stored.FLOW_RUN, stored.TEST_SET, stored.WEIGHTS, stored.EVALUATION, stored.FOLDER),
}
"""Tags a version is created with, which nobody changes afterwards."""
GATE_TAGS = {stored.PASSED, stored.REASON, stored.COMPARED, stored.STATEMENT}
"""Tags that `register` writes anew whenever it compares a version with the champion."""
DECISION_TAGS = {stored.DECISION, stored.COMMENT, stored.REFUSED, stored.CARRIED_OUT}

MODELS, VERSIONS = "/api/2.0/mlflow/registered-models", "/api/2.0/mlflow/model-versions"
EXPERIMENTS, RUNS = "/api/2.0/mlflow/experiments", "/api/2.0/mlflow/runs"
FILES = "/api/2.0/mlflow-artifacts"
USERS, USERS_3, ROLES = "/api/2.0/mlflow/users", "/api/3.0/mlflow/users", "/api/3.0/mlflow/roles"

# fmt: off
CHANGES = (
    # registered models
    Allowed(f"POST {MODELS}/create",              ADMIN,  server),
    Allowed(f"POST {MODELS}/create",              EDIT,   existing_model),
    Allowed(f"DELETE {MODELS}/delete",            ADMIN,  server),
    Allowed(f"PATCH {MODELS}/update",             MANAGE, model),
    Allowed(f"POST {MODELS}/set-tag",             MANAGE, model, tag()),
    Allowed(f"DELETE {MODELS}/delete-tag",        MANAGE, model, tag()),
    Allowed(f"POST {MODELS}/alias",               EDIT,   model, alias(stored.CHALLENGER)),
    Allowed(f"DELETE {MODELS}/alias",             MANAGE, model, alias(stored.CHALLENGER)),
    Allowed(f"POST {MODELS}/alias",               MANAGE, model, alias(stored.CHAMPION)),
    Allowed(f"DELETE {MODELS}/alias",             MANAGE, model, alias(stored.CHAMPION)),
    # their versions
    Allowed(f"POST {VERSIONS}/create",            EDIT,   model, tags(LINEAGE_TAGS)),
    Allowed(f"PATCH {VERSIONS}/update",           EDIT,   model),
    Allowed(f"DELETE {VERSIONS}/delete",          ADMIN,  server),
    Allowed(f"POST {VERSIONS}/set-tag",           EDIT,   model, of_no_champion(tag(GATE_TAGS))),
    Allowed(f"POST {VERSIONS}/set-tag",           EDIT,   model, claims_the_proposal),
    Allowed(f"POST {VERSIONS}/set-tag",           MANAGE, model, tag(DECISION_TAGS)),
    Allowed(f"POST {VERSIONS}/set-tag",           MANAGE, model, claims_the_decision),
    Allowed(f"DELETE {VERSIONS}/delete-tag",      MANAGE, model, tag({*DECISION_TAGS, stored.DECIDED_BY})),
    # the decision log: append only, for administrators as well
    Allowed(f"POST {EXPERIMENTS}/create",         MANAGE, new_draft_of_log, without_location),
    Allowed(f"POST {RUNS}/create",                MANAGE, draft_of_log, first_run),
    Allowed(f"POST {EXPERIMENTS}/update",         MANAGE, draft_of_log, to_its_log),
    Allowed(f"POST {EXPERIMENTS}/delete",         MANAGE, draft_of_log),
    Allowed(f"POST {RUNS}/log-parameter",         MANAGE, decision_log),
    # all other experiments and runs
    Allowed(f"POST {EXPERIMENTS}/create",         READ,   new_experiment, without_location),
    Allowed(f"POST {EXPERIMENTS}/update",         MANAGE, experiment, to_an_ordinary_name),
    Allowed(f"POST {EXPERIMENTS}/set-experiment-tag",    EDIT, experiment),
    Allowed(f"POST {EXPERIMENTS}/delete-experiment-tag", EDIT, experiment),
    Allowed(f"POST {EXPERIMENTS}/delete",         ADMIN,  experiment),
    Allowed(f"POST {EXPERIMENTS}/restore",        ADMIN,  experiment),
    Allowed(f"POST {RUNS}/create",                EDIT,   experiment),
    Allowed(f"POST {RUNS}/update",                EDIT,   experiment),
    Allowed(f"POST {RUNS}/log-batch",             EDIT,   experiment),
    Allowed(f"POST {RUNS}/log-metric",            EDIT,   experiment),
    Allowed(f"POST {RUNS}/log-parameter",         EDIT,   experiment),
    Allowed(f"POST {RUNS}/log-inputs",            EDIT,   experiment),
    Allowed(f"POST {RUNS}/set-tag",               EDIT,   experiment),
    Allowed(f"POST {RUNS}/delete-tag",            EDIT,   experiment),
    Allowed(f"POST {RUNS}/delete",                ADMIN,  experiment),
    Allowed(f"POST {RUNS}/restore",               ADMIN,  experiment),
    Allowed(f"PUT {FILES}/artifacts/<path:artifact_path>", EDIT, run_file, not_of_a_version),
    # accounts and their rights; MLflow lets an account change its own password only
    Allowed(f"PATCH {USERS}/update-password",     READ,   server),
    Allowed("GET /signup",                        ADMIN,  server),
    Allowed(f"POST {USERS}/create",               ADMIN,  server),
    Allowed(f"POST {USERS}/create-ui",            ADMIN,  server),
    Allowed(f"PATCH {USERS}/update-admin",        ADMIN,  server),
    Allowed(f"DELETE {USERS}/delete",             ADMIN,  server),
    Allowed(f"POST {USERS_3}/permissions/grant",  ADMIN,  server),
    Allowed(f"POST {USERS_3}/permissions/revoke", ADMIN,  server),
    Allowed(f"POST {ROLES}/create",               ADMIN,  server),
    Allowed(f"PATCH {ROLES}/update",              ADMIN,  server),
    Allowed(f"DELETE {ROLES}/delete",             ADMIN,  server),
    Allowed(f"POST {ROLES}/assign",               ADMIN,  server),
    Allowed(f"DELETE {ROLES}/unassign",           ADMIN,  server),
    Allowed(f"POST {ROLES}/permissions/add",      ADMIN,  server),
    Allowed(f"PATCH {ROLES}/permissions/update",  ADMIN,  server),
    Allowed(f"DELETE {ROLES}/permissions/remove", ADMIN,  server),
)
# fmt: on

WITHOUT_AN_ACCOUNT = ("GET /health", "GET /static-files/<path:path>", "GET /api/3.0/mlflow/server-info")

READS = (
    "GET /",
    "GET /version",
    "GET /graphql",
    "POST /graphql",  # its mutations, too, only search: a test holds their names
    "GET /get-artifact",
    "GET /model-versions/get-artifact",
    f"GET {FILES}/artifacts",
    f"GET {FILES}/artifacts/<path:artifact_path>",
    f"GET {FILES}/presigned/<path:artifact_path>",
    "GET /api/2.0/mlflow/artifacts/list",
    "POST /api/2.0/mlflow/artifacts/presigned-download-url",
    f"GET {EXPERIMENTS}/get",
    f"GET {EXPERIMENTS}/get-by-name",
    f"GET {EXPERIMENTS}/search",
    f"POST {EXPERIMENTS}/search",
    f"POST {EXPERIMENTS}/search-datasets",
    f"GET {RUNS}/get",
    f"POST {RUNS}/search",
    "GET /api/2.0/mlflow/metrics/get-history",
    "GET /api/2.0/mlflow/metrics/get-history-bulk",
    "GET /api/2.0/mlflow/metrics/get-history-bulk-interval",
    f"GET {MODELS}/get",
    f"GET {MODELS}/search",
    f"GET {MODELS}/alias",
    f"GET {MODELS}/get-latest-versions",
    f"POST {MODELS}/get-latest-versions",
    f"GET {VERSIONS}/get",
    f"GET {VERSIONS}/get-download-uri",
    f"GET {VERSIONS}/search",
    "GET /api/2.0/mlflow/logged-models/<model_id>",
    "GET /api/2.0/mlflow/logged-models/<model_id>/artifacts/directories",
    "GET /api/2.0/mlflow/logged-models/<model_id>/artifacts/files",
    "POST /api/2.0/mlflow/logged-models/search",
    "GET /api/3.0/mlflow/traces/<trace_id>",
    "POST /api/3.0/mlflow/traces/search",
    "GET /api/3.0/mlflow/ui-telemetry",
    f"GET {USERS}/current",
    f"GET {USERS}/get",
    f"GET {USERS}/list",
    f"GET {USERS_3}/current/permissions",
    f"GET {USERS_3}/permissions/get",
    f"GET {USERS_3}/permissions/list",
    f"GET {USERS_3}/roles/list",
    f"GET {ROLES}/get",
    f"GET {ROLES}/list",
    f"GET {ROLES}/users/list",
    f"GET {ROLES}/permissions/list",
)

TABLE = (
    *(Allowed(route, PUBLIC, server) for route in WITHOUT_AN_ACCOUNT),
    *(Allowed(route, READ, server) for route in READS),
    *CHANGES,
)
