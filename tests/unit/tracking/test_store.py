"""A store that cannot be opened: one line that tells which, and never its password."""

import pytest
from mlflow.store.db import utils
from typer.testing import CliRunner

from tidemill.cli import app
from tidemill.tracking import store

PASSWORD = "pass/word_4711"
ADDRESSES = {
    "a lost database": "postgresql://ada:{}@127.0.0.1:1/runs",
    "a driver that is not here": "oracle+none://ada:{}@127.0.0.1/runs",
    "a port that is no number": "postgresql://ada:{}@127.0.0.1:port/runs",
    "a lost server": "http://ada:{}@127.0.0.1:1",
}


@pytest.mark.parametrize("command", [("audit", "bars"), ("review", "list"), ("reproduce", "models:/bars/1")], ids=str)
@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES)
def test_no_message_tells_the_password(address: str, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "MAX_RETRY_COUNT", 1)  # which takes 100 seconds otherwise
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    shown = address.format("***")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.format(PASSWORD if "http" not in address else "secret_4711"))
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1 and isinstance(done.exception, SystemExit), done.exception
    said = done.output + str(done.exception)
    assert "4711" not in said
    assert "MLflow's store" in said or "not in the registry" in said
    assert shown in said


def test_an_address_without_a_password_is_shown_as_it_is() -> None:
    for text in ("http://host:5000/#/models/digits@champion", "sqlite:///a.db", "models:/digits@champion of a:b"):
        assert store.without_password(text) == text
