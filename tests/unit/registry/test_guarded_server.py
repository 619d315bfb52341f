"""A real server with passwords: a trainer registers and cannot set `champion`, a reviewer can."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from tests.security.guarded import become, open_accounts, serving
from tests.unit.registry.proposals import GRACE, ROOT, propose, start
from tidemill.core.errors import TidemillError
from tidemill.registry import champion, promotion
from tidemill.registry.audit import audit
from tidemill.registry.decision_log import DecisionLog
from tidemill.registry.identity import identity
from tidemill.tracking import store


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address, once it answers and has its accounts."""
    stores = {}
    if request.param == "postgresql":
        database = request.getfixturevalue("postgresql")
        stores = {"store": database.new_database("guarded"), "people": database.new_database("people")}
    with serving(tmp_path_factory.mktemp("server"), **stores) as address:
        open_accounts(address, ("moved", "bars"))
        yield address


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


def test_a_trainer_proposes_and_a_reviewer_approves(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements").symlink_to(ROOT / "requirements")
    monkeypatch.chdir(tmp_path)
    start(tmp_path)
    trainer = become("trainer", server, monkeypatch)
    assert propose(tmp_path, seed=0, wrong=3) == "1"
    with pytest.raises(TidemillError, match=r"this account: .*Permission denied"):
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
