"""Attacks on the registry's guarded server: real accounts on a running server, and nothing they may not change changes."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.security.guarded import PASSWORDS, become, open_accounts, serving
from tidemill.registry.decision_log import FIRST, DecisionLog, Entry

if TYPE_CHECKING:
    from mlflow import MlflowClient

API, AJAX = "/api/2.0/mlflow", "/ajax-api/2.0/mlflow"
JSON = {"Content-Type": "application/json"}
LOOKED_UP_FIRST = "POST /api/3.0/mlflow/review-queues/update"
"""MLflow looks for the queue before the guard is asked, and there can be none: creating one is refused."""
REFUSED_ROUTES = Path(__file__).parent / "refused_routes.txt"
ENTRY = Entry(
    1,
    "2026-01-01T00:00:00+00:00",
    "digits",
    "promote",
    "begun",
    "1",
    None,
    "1",
    "reviewer",
    "server",
    "why",
    {},
    FIRST,
    "0",
)


@dataclass
class Registry:
    """A server with two versions of `digits`, the first one champion by decision, and the ids of what belongs to it."""

    address: str
    run: str = ""
    experiment: str = ""
    log: str = ""
    log_run: str = ""

    def ask(self, account: str | None, method: str, path: str, **sent: Any) -> httpx.Response:
        """Send a request as an account, or as nobody."""
        credentials = (account, PASSWORDS[account]) if account else None
        return httpx.request(method, self.address + path, auth=credentials, timeout=60, **sent)

    def refuses(self, account: str | None, method: str, path: str, **sent: Any) -> None:
        answer = self.ask(account, method, path, **sent)
        assert answer.status_code in ((403,) if account else (401, 403)), (answer.status_code, answer.text[:300])

    def as_admin(self, path: str, **params: str) -> Any:
        return self.ask("admin", "GET", f"{API}/{path}", params=params).json()

    def aliases(self, model: str = "digits") -> dict[str, str]:
        found = self.as_admin("registered-models/get", name=model)["registered_model"]
        return {one["alias"]: one["version"] for one in found.get("aliases", [])}

    def tags(self, version: str = "1") -> dict[str, str]:
        found = self.as_admin("model-versions/get", name="digits", version=version)["model_version"]
        return {one["key"]: one["value"] for one in found.get("tags", [])}

    def has_experiment(self, name: str) -> bool:
        answer = self.ask("admin", "GET", f"{API}/experiments/get-by-name", params={"experiment_name": name})
        return answer.status_code == 200


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("guarded")
    with serving(folder) as address, pytest.MonkeyPatch.context() as patch:
        open_accounts(address, ("digits", "bars"))
        yield furnish(Registry(address), folder, patch)


def furnish(registry: Registry, folder: Path, patch: pytest.MonkeyPatch) -> Registry:
    """Train and register as the trainer, decide as the reviewer."""
    trainer = become("trainer", registry.address, patch)
    registry.experiment = trainer.create_experiment("digits")
    registry.run = trainer.create_run(registry.experiment).info.run_id
    (folder / "model.json").write_text("{}")
    for version in ("1", "2"):
        trainer.log_artifact(registry.run, str(folder / "model.json"), f"candidate-{version}/model")
        source = f"{trainer.get_run(registry.run).info.artifact_uri}/candidate-{version}/model"
        tags = {"tidemill.weights_sha256": version, "tidemill.folder": f"candidate-{version}"}
        trainer.create_model_version("digits", source, registry.run, tags=tags)
        trainer.set_model_version_tag("digits", version, "tidemill.proposed_by", "trainer")
    reviewer = become("reviewer", registry.address, patch)
    reviewer.set_registered_model_alias("digits", "champion", "1")
    log = DecisionLog(reviewer, "digits")
    assert log.append(ENTRY)
    registry.log, registry.log_run = _experiment(reviewer, "decisions/digits"), str(log._run())
    return registry


def _experiment(client: "MlflowClient", name: str) -> str:
    found = client.get_experiment_by_name(name)
    assert found is not None
    return str(found.experiment_id)


# Which routes there are.

LISTING = """
import json, sys
from fastapi.routing import iter_route_contexts
from mlflow.server import app
from starlette.routing import Mount
from tidemill.registry.guard.requests import in_flasks_notation, name_of
from tidemill.registry.guard.table import TABLE
from tidemill.registry.guarded_server import create_app

native = [route for route in create_app(app).routes if not isinstance(route, Mount)]
flask = [(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods]
fastapi = [(m, in_flasks_notation(route.path)) for route in iter_route_contexts(native) for m in route.methods]
served = {name_of(*one) for one in flask + fastapi if one[0] not in ("HEAD", "OPTIONS")}
json.dump({"served": sorted(served), "table": sorted({line.route for line in TABLE})}, sys.stdout)
"""


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """All routes the server serves, by Flask and by FastAPI, and those the table has."""
    settings = {"_MLFLOW_SGI_NAME": "uvicorn", "MLFLOW_FLASK_SERVER_SECRET_KEY": "0" * 32}
    settings |= {"MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORDS["admin"]}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        folder = tmp_path_factory.mktemp("routes")
        done = subprocess.run([sys.executable, "-c", LISTING], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name: set(found) for name, found in json.loads(done.stdout).items()}


def test_every_route_of_mlflow_is_either_in_the_table_or_known_to_be_refused(routes: dict[str, set[str]]) -> None:
    known = set(REFUSED_ROUTES.read_text().split("\n")) - {""}
    assert routes["table"] <= routes["served"], "the table names routes that MLflow does not have"
    assert routes["served"] - routes["table"] == known, "MLflow has other routes: look at what the new ones can change"


def test_what_is_not_in_the_table_is_refused_to_administrators_as_well(registry: Registry) -> None:
    answered = {}
    for route in REFUSED_ROUTES.read_text().splitlines():
        method, rule = route.split(" ")
        path = re.sub("<.+?>", "x", rule)
        paths = {path, path.replace("/api/", "/ajax-api/", 1)}  # some routes are served below one of the two only
        answers = [registry.ask("admin", method, one, json={"queue_id": "x"}) for one in paths]
        statuses = {answer.status_code for answer in answers}
        if "Permission denied" not in [answer.text for answer in answers] or not statuses <= {403, 404, 405}:
            answered[route] = statuses
    assert answered == {LOOKED_UP_FIRST: {404}}


def test_graphql_only_reads() -> None:
    from mlflow.server.graphql.graphql_schema_extensions import schema

    mutations = schema.graphql_schema.mutation_type
    assert mutations is not None
    assert set(mutations.fields) == {"mlflowSearchDatasets", "mlflowSearchRuns", "testMutation"}


def test_other_methods_on_listed_routes_are_refused(registry: Registry) -> None:
    registry.refuses("trainer", "HEAD", f"{API}/registered-models/get?name=digits")
    registry.refuses("trainer", "HEAD", f"{API}/runs/get?run_id={registry.run}")


# The champion.


def test_renaming_a_model_and_making_another_of_its_name_does_not_move_the_champion(registry: Registry) -> None:
    for account in ("trainer", "reviewer", "admin"):
        renamed = {"name": "digits", "new_name": "digits-old"}
        registry.refuses(account, "POST", f"{API}/registered-models/rename", json=renamed)
    registry.refuses("trainer", "POST", f"{API}/registered-models/create", json={"name": "other"})
    assert registry.aliases() == {"champion": "1"}


def test_deleting_a_model_or_version_by_a_body_that_contradicts_the_query_is_refused(registry: Registry) -> None:
    """MLflow checks the query of a DELETE that is not declared as JSON, and deletes what the body names."""
    own = {"name": "toys"}
    grant = {"username": "trainer", "resource_type": "registered_model", "resource_id": "toys", "permission": "MANAGE"}
    for path, given in ((f"{API}/registered-models/create", own), ("/api/3.0/mlflow/users/permissions/grant", grant)):
        assert registry.ask("admin", "POST", path, json=given).is_success
    for path, sent in {"registered-models/delete": {}, "model-versions/delete": {"version": "1"}}.items():
        body = json.dumps({"name": "digits", **sent})
        registry.refuses("trainer", "DELETE", f"{API}/{path}", params=own | sent, content=body)
    assert registry.aliases() == {"champion": "1"}


@pytest.mark.parametrize("base", [API, AJAX])
def test_a_trainer_moves_the_challenger_and_no_other_alias(registry: Registry, base: str) -> None:
    path = f"{base}/registered-models/alias"
    assert registry.ask(
        "trainer", "POST", path, json={"name": "digits", "alias": "challenger", "version": "2"}
    ).is_success
    for alias in ("champion", "Champion", "production"):
        registry.refuses("trainer", "POST", path, json={"name": "digits", "alias": alias, "version": "2"})
    registry.refuses("trainer", "DELETE", path, json={"name": "digits", "alias": "champion"})
    contradicted = json.dumps({"name": "digits", "alias": "champion"})
    registry.refuses("trainer", "DELETE", path, params={"name": "digits", "alias": "challenger"}, content=contradicted)
    assert registry.ask("reviewer", "DELETE", path, json={"name": "digits", "alias": "challenger"}).is_success
    assert registry.aliases() == {"champion": "1"}


def test_stages_are_refused(registry: Registry) -> None:
    moved = {"name": "digits", "version": "2", "stage": "Production", "archive_existing_versions": True}
    for account in ("trainer", "reviewer"):
        registry.refuses(account, "POST", f"{API}/model-versions/transition-stage", json=moved)


# Tags of a version.


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tidemill.proposed_by", "somebody"),
        ("tidemill.proposed_by", "trainer"),  # set already
        ("tidemill.weights_sha256", "2"),
        ("tidemill.folder", "candidate-2"),
        ("tidemill.decision", "approve"),
        ("tidemill.decided_by", "reviewer"),
        ("tidemill.carried_out", "1"),
        ("tidemill.new", "1"),
        ("mlflow.prompt.is_prompt", "true"),
    ],
)
def test_a_trainer_does_not_rewrite_what_a_decision_rests_on(registry: Registry, key: str, value: str) -> None:
    before, version = registry.tags(), {"name": "digits", "version": "1"}
    registry.refuses("trainer", "POST", f"{API}/model-versions/set-tag", json={**version, "key": key, "value": value})
    registry.refuses("trainer", "DELETE", f"{API}/model-versions/delete-tag", json={**version, "key": key})
    registry.refuses(
        "trainer", "POST", f"{API}/registered-models/set-tag", json={"name": "digits", "key": key, "value": value}
    )
    assert registry.tags() == before


@pytest.mark.parametrize("key", ["tidemill.passed", "tidemill.statement", "tidemill.compared_with"])
def test_a_trainer_writes_what_the_gates_found_of_a_challenger_and_not_of_the_champion(
    registry: Registry, key: str
) -> None:
    """Without a statement that can be verified the champion would serve nothing."""
    sent = {"name": "digits", "key": key, "value": "forged"}
    path = f"{API}/model-versions/set-tag"
    assert registry.ask("trainer", "POST", path, json={**sent, "version": "2"}).is_success
    registry.refuses("trainer", "POST", path, json={**sent, "version": "1"})
    assert key not in registry.tags("1")


@pytest.mark.parametrize(
    "key", ["tidemill.proposed_by", "tidemill.decision", "tidemill.passed", "mlflow.prompt.is_prompt"]
)
def test_a_version_is_not_created_with_tags_that_only_come_later(registry: Registry, key: str) -> None:
    source = f"mlflow-artifacts:/{registry.experiment}/{registry.run}/artifacts/candidate-1/model"
    created = {"name": "digits", "source": source, "run_id": registry.run, "tags": [{"key": key, "value": "true"}]}
    registry.refuses("trainer", "POST", f"{API}/model-versions/create", json=created)


def test_who_decides_by_tags_does_so_in_their_own_name(registry: Registry) -> None:
    decided = {"name": "digits", "version": "2", "key": "tidemill.decided_by"}
    registry.refuses("reviewer", "POST", f"{API}/model-versions/set-tag", json={**decided, "value": "admin"})
    assert registry.ask(
        "reviewer", "POST", f"{API}/model-versions/set-tag", json={**decided, "value": "reviewer"}
    ).is_success
    assert registry.ask("reviewer", "DELETE", f"{API}/model-versions/delete-tag", json=decided).is_success


# The decision log.

TAKEN = "decisions/bars"
BODIES = {
    "twice JSON": json.dumps(json.dumps({"name": TAKEN})),
    "list": json.dumps([{"name": TAKEN}]),
    "number": "1",
    "null": "null",
    "no JSON": '{"name": "decisions/bars"',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("base", [API, AJAX])
def test_a_body_that_is_no_json_object_is_refused(registry: Registry, base: str, body: str) -> None:
    answer = registry.ask("visitor", "POST", f"{base}/experiments/create", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "not a JSON object" in answer.json()["message"]
    assert not registry.has_experiment(TAKEN)


@pytest.mark.parametrize(
    "name", [TAKEN, f"{TAKEN}-{'0' * 32}", "decisions/", "decisions/unknown", "Decisions/bars", " decisions/bars"]
)
def test_nobody_but_a_reviewer_begins_a_decision_log(registry: Registry, name: str) -> None:
    for encoding in ("utf-8", "utf-16"):
        body = json.dumps({"name": name}).encode(encoding)
        registry.refuses("visitor", "POST", f"{API}/experiments/create", content=body, headers=JSON)
    own = registry.ask("visitor", "POST", f"{API}/experiments/create", json={"name": f"own {name!r}"}).json()[
        "experiment_id"
    ]
    for fields in (("experiment_id", "new_name"), ("experiment_id", "newName")):
        registry.refuses(
            "visitor", "POST", f"{API}/experiments/update", json=dict(zip(fields, (own, name), strict=True))
        )
    assert not registry.has_experiment(name)


def test_the_decision_log_takes_new_entries_and_no_other_change(registry: Registry) -> None:
    """Not even from the reviewer it belongs to, or an administrator."""
    run, experiment = {"run_id": registry.log_run}, {"experiment_id": registry.log}
    changes = {
        "runs/set-tag": {**run, "key": "a", "value": "b"},
        "runs/delete-tag": {**run, "key": "mlflow.runName"},
        "runs/update": {**run, "status": "FAILED", "run_name": "other"},
        "runs/log-batch": {**run, "params": [{"key": "00000002", "value": "{}"}]},
        "runs/log-metric": {**run, "key": "a", "value": 1, "timestamp": 1},
        "runs/log-inputs": {**run, "datasets": []},
        "runs/outputs": {**run, "models": []},
        "runs/delete": run,
        "runs/restore": run,
        "runs/create": experiment,
        "experiments/delete": experiment,
        "experiments/restore": experiment,
        "experiments/update": {**experiment, "new_name": "elsewhere"},
        "experiments/set-experiment-tag": {**experiment, "key": "a", "value": "b"},
        "experiments/delete-experiment-tag": {**experiment, "key": "a"},
    }
    before = registry.as_admin("runs/get", **run)
    for account in ("trainer", "reviewer", "admin"):
        for path, sent in changes.items():
            registry.refuses(account, "POST", f"{API}/{path}", json=sent)
        file = f"/api/2.0/mlflow-artifacts/artifacts/{registry.log}/{registry.log_run}/artifacts/a.txt"
        registry.refuses(account, "PUT", file, content=b"a")
    assert registry.as_admin("runs/get", **run) == before
    assert registry.has_experiment("decisions/digits")


def test_an_entry_needs_manage_on_the_model_whatever_is_granted_on_the_experiment(registry: Registry) -> None:
    grant = {"username": "visitor", "resource_type": "experiment", "resource_id": registry.log, "permission": "MANAGE"}
    assert registry.ask("admin", "POST", "/api/3.0/mlflow/users/permissions/grant", json=grant).is_success
    for run in ({"run_id": registry.log_run}, {"run_uuid": registry.log_run}, {"runId": registry.log_run}):
        answer = registry.ask(
            "visitor", "POST", f"{API}/runs/log-parameter", json={**run, "key": "00000002", "value": "{}"}
        )
        assert answer.status_code in (400, 403)
    assert set(_params(registry)) == {"00000001"}


def test_a_decision_log_has_one_run(registry: Registry) -> None:
    draft = registry.ask(
        "reviewer", "POST", f"{API}/experiments/create", json={"name": f"decisions/bars-{'1' * 32}"}
    ).json()
    assert registry.ask("reviewer", "POST", f"{API}/runs/create", json=draft).is_success
    registry.refuses("reviewer", "POST", f"{API}/runs/create", json=draft)
    registry.refuses("reviewer", "POST", f"{API}/experiments/update", json={**draft, "new_name": "decisions/other"})
    assert registry.ask("reviewer", "POST", f"{API}/experiments/delete", json=draft).is_success


def _params(registry: Registry) -> dict[str, str]:
    found = registry.as_admin("runs/get", run_id=registry.log_run)["run"]["data"]["params"]
    return {one["key"]: one["value"] for one in found}


# Files.


def test_files_of_a_registered_version_are_not_replaced(registry: Registry) -> None:
    base = f"/api/2.0/mlflow-artifacts/artifacts/{registry.experiment}/{registry.run}/artifacts"
    file, forged = f"{base}/candidate-1/model/model.json", b'{"forged": true}'
    for account in ("trainer", "reviewer", "admin"):
        for path in (file, file.replace("/api/", "/ajax-api/"), file.replace("candidate", "%2563andidate")):
            registry.refuses(account, "PUT", path, content=forged)
        registry.refuses(account, "PUT", file.replace("/candidate-1/", "//candidate-1/"), content=forged)
        registry.refuses(account, "DELETE", file)
        registry.refuses(account, "DELETE", f"{base}/candidate-1")
        sent = {"run_uuid": registry.run, "path": "candidate-1/model/model.json"}
        registry.refuses(account, "POST", f"{AJAX}/upload-artifact", params=sent, content=forged)
    assert registry.ask("trainer", "GET", file).text == "{}"
    assert registry.ask("trainer", "PUT", f"{base}/candidate-3/model/model.json", content=b"{}").is_success


def test_an_experiment_does_not_keep_its_files_where_another_does(registry: Registry) -> None:
    created = {"name": "beside", "artifact_location": f"mlflow-artifacts:/{registry.log}"}
    registry.refuses("visitor", "POST", f"{API}/experiments/create", json=created)


# Accounts and rights.


def test_only_an_administrator_gives_rights(registry: Registry) -> None:
    grant = {
        "username": "trainer",
        "resource_type": "registered_model",
        "resource_id": "digits",
        "permission": "MANAGE",
    }
    for account in ("trainer", "reviewer"):
        registry.refuses(account, "POST", "/api/3.0/mlflow/users/permissions/grant", json=grant)
        registry.refuses(account, "POST", "/api/3.0/mlflow/roles/create", json={"name": "all", "workspace": "default"})
        registry.refuses(account, "POST", f"{API}/users/create", json={"username": "more", "password": "0" * 16})
        registry.refuses(account, "PATCH", f"{API}/users/update-admin", json={"username": account, "is_admin": True})
        registry.refuses(
            account, "PATCH", f"{API}/users/update-password", json={"username": "admin", "password": "0" * 16}
        )
        registry.refuses(account, "DELETE", f"{API}/users/delete", json={"username": "visitor"})
    registry.refuses(
        "trainer",
        "POST",
        f"{API}/registered-models/alias",
        json={"name": "digits", "alias": "champion", "version": "2"},
    )


def test_webhooks_and_what_else_nobody_needs_are_refused(registry: Registry) -> None:
    for account in ("trainer", "reviewer", "admin"):
        registry.refuses(
            account, "POST", f"{API}/webhooks", json={"name": "a", "url": "https://example.org", "events": []}
        )
        registry.refuses(account, "POST", f"{API}/logged-models", json={"experiment_id": registry.experiment})
        registry.refuses(account, "POST", f"{API}/runs/log-model", json={"run_id": registry.run, "model_json": "{}"})
        registry.refuses(
            account, "POST", f"{AJAX}/runs/create-promptlab-run", json={"experiment_id": registry.experiment}
        )
        registry.refuses(account, "GET", "/ajax-api/3.0/mlflow/assistant/config")
        registry.refuses(account, "POST", "/ajax-api/3.0/mlflow/mcp-servers", json={"name": "a"})


# Public weaknesses of MLflow, on the pinned version by itself and guarded.


@pytest.fixture(scope="module", params=["basic-auth", "tidemill-guarded"])
def pinned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with serving(tmp_path_factory.mktemp(request.param), app=request.param) as address:
        open_accounts(address, ("digits",))
        with pytest.MonkeyPatch.context() as patch:
            trainer = become("trainer", address, patch)
            registry = Registry(address, experiment=trainer.create_experiment("digits"))
            registry.run = trainer.create_run(registry.experiment).info.run_id
            yield registry


def test_cve_2026_0545_jobs_without_a_password(pinned: Registry) -> None:
    job = {"job_name": "optimize_prompts", "params": {}}
    pinned.refuses(None, "POST", "/ajax-api/3.0/jobs/", json=job)
    pinned.refuses(None, "POST", "/ajax-api/3.0/jobs/search", json={})
    pinned.refuses(None, "GET", "/ajax-api/3.0/jobs/1")
    pinned.refuses(None, "PATCH", "/ajax-api/3.0/jobs/cancel/1")


@pytest.mark.parametrize("source", ["file:///etc", "/etc", "mlflow-artifacts:/../../../etc"])
def test_cve_2026_2614_a_file_of_the_server_as_the_source_of_a_prompt(pinned: Registry, source: str) -> None:
    """MLflow did not check the source of a version with the tag of a prompt, and served the files it named."""
    for tags in ([], [{"key": "mlflow.prompt.is_prompt", "value": "true"}]):
        created = {"name": "digits", "source": source, "tags": tags}
        for account in ("trainer", "admin"):
            assert pinned.ask(account, "POST", f"{API}/model-versions/create", json=created).status_code in (400, 403)
    read = {"name": "digits", "version": "1", "path": "passwd"}
    assert "root:" not in pinned.ask("admin", "GET", "/model-versions/get-artifact", params=read).text


def test_cve_2026_2651_a_multipart_upload_into_another_accounts_run(pinned: Registry) -> None:
    folder = f"{pinned.experiment}/{pinned.run}/artifacts"
    sent = {"path": "model.json", "num_parts": 1, "upload_id": "1", "parts": []}
    for step in ("create", "complete", "abort"):
        pinned.refuses("visitor", "POST", f"/api/2.0/mlflow-artifacts/mpu/{step}/{folder}", json=sent)
        pinned.refuses("visitor", "POST", f"/ajax-api/2.0/mlflow-artifacts/mpu/{step}/{folder}", json=sent)


def test_cve_2026_2652_native_routes_without_a_password(pinned: Registry) -> None:
    pinned.refuses(None, "POST", "/v1/traces", content=b"", headers={"x-mlflow-experiment-id": pinned.experiment})
    pinned.refuses(None, "GET", "/ajax-api/3.0/mlflow/assistant/config")
    pinned.refuses(None, "GET", "/ajax-api/3.0/mlflow/mcp-servers")
    pinned.refuses(None, "GET", f"/api/2.0/mlflow-artifacts/artifacts/{pinned.experiment}/{pinned.run}/artifacts/a")
    pinned.refuses(
        None, "PUT", f"/api/2.0/mlflow-artifacts/artifacts/{pinned.experiment}/{pinned.run}/artifacts/a", content=b"a"
    )
