"""A real server with passwords: a trainer registers and cannot set `champion`, a reviewer can."""

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from tests.unit.registry.proposals import GRACE, ROOT, propose, start
from tidemill.registry import champion, promotion
from tidemill.registry.audit import audit
from tidemill.registry.decision_log import DecisionLog
from tidemill.registry.identity import identity
from tidemill.tracking import store

PEOPLE = {name: secrets.token_urlsafe(16) for name in ("admin", "trainer", "reviewer")}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address, once it answers."""
    folder = tmp_path_factory.mktemp("server")
    if request.param == "sqlite":
        store, people = f"sqlite:///{folder}/mlflow.db", f"sqlite:///{folder}/auth.db"
    else:
        database = request.getfixturevalue("postgresql")
        store, people = database.new_database("guarded"), database.new_database("people")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "auth.ini").write_text(
        f"[mlflow]\nauth_cache_ttl_seconds = 60\ndefault_permission = READ\nadmin_username = admin\ndatabase_uri = {people}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    settings = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")},
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": PEOPLE["admin"],
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "tidemill-guarded", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--backend-store-uri", store]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=settings, stdout=log, stderr=log, start_new_session=True) as process,
    ):
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, 15)


def _wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(address, timeout=2)
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.5)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def people(server: str) -> None:
    """A trainer and a reviewer of two models, with their rights, which the administrator gives."""
    from mlflow.server import get_app_client

    with pytest.MonkeyPatch.context() as patch:
        admin = become("admin", server, patch)
        users = get_app_client("basic-auth", tracking_uri=server)
        for name in ("trainer", "reviewer"):
            users.create_user(name, PEOPLE[name])
        for model in ("moved", "bars"):
            admin.create_registered_model(model)
            users.grant_user_permission("trainer", "registered_model", model, "EDIT")
            users.grant_user_permission("reviewer", "registered_model", model, "MANAGE")


def become(name: str, server: str, patch: pytest.MonkeyPatch) -> MlflowClient:
    patch.setenv("MLFLOW_TRACKING_URI", server)
    patch.setenv("MLFLOW_TRACKING_USERNAME", name)
    patch.setenv("MLFLOW_TRACKING_PASSWORD", PEOPLE[name])
    return MlflowClient(server)


@pytest.mark.usefixtures("people")
def test_only_a_reviewer_moves_the_champion(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = become("trainer", server, monkeypatch)
    trainer.create_model_version("moved", "s3://models/bars")
    trainer.set_registered_model_alias("moved", "challenger", "1")
    with pytest.raises(MlflowException, match="Permission denied"):
        trainer.set_registered_model_alias("moved", "champion", "1")

    reviewer = become("reviewer", server, monkeypatch)
    reviewer.set_registered_model_alias("moved", "champion", "1")
    assert (identity().who, identity().source) == ("reviewer", "server")

    with pytest.raises(MlflowException, match="Permission denied"):
        become("trainer", server, monkeypatch).delete_registered_model_alias("moved", "champion")
    assert str(become("reviewer", server, monkeypatch).get_model_version_by_alias("moved", "champion").version) == "1"


@pytest.mark.usefixtures("people")
def test_a_trainer_proposes_and_a_reviewer_approves(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements").symlink_to(ROOT / "requirements")
    monkeypatch.chdir(tmp_path)
    start(tmp_path)
    trainer = become("trainer", server, monkeypatch)
    assert propose(tmp_path, seed=0, wrong=3) == "1"
    with pytest.raises(MlflowException, match="Permission denied"):
        promotion.approve(store.connect(), "bars", "1", GRACE, "mine")
    for name in ("decisions/bars", "decisions/bars-0f"):
        with pytest.raises(MlflowException, match="Permission denied"):
            trainer.create_experiment(name)
    other = trainer.create_experiment("other")
    with pytest.raises(MlflowException, match="Permission denied"):
        trainer.rename_experiment(other, "decisions/bars")
    assert champion.find(trainer, "bars") is None

    reviewer = become("reviewer", server, monkeypatch)
    entry = promotion.approve(store.connect(), "bars", "1", identity(), "fewer mistakes")
    assert (entry.who, entry.identity, entry.champion_after) == ("reviewer", "server", "1")
    assert audit(reviewer, "bars")[1] == []

    trainer = become("trainer", server, monkeypatch)
    log = DecisionLog(trainer, "bars")
    forged = replace(entry, number=3, champion_after="2", previous=log.entries()[-1].sha256)
    with pytest.raises(MlflowException, match="Permission denied"):
        log.append(forged)
    assert [one.state for one in log.entries()] == ["begun", "done"]
