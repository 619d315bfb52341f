"""Limits that hold for all processes of a machine."""

import threading
from pathlib import Path

import pytest

from flows import limits


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(limits.FOLDER, str(tmp_path / "limits"))


def test_so_many_hold_a_limit_and_the_next_waits() -> None:
    waiting, entered = threading.Event(), threading.Event()

    def third() -> None:
        with limits.held({"gpu": 2}, lambda name: waiting.set()):
            entered.set()

    with limits.held({"gpu": 2}):
        with limits.held({"gpu": 2}), limits.held({"other/one": 1}):
            thread = threading.Thread(target=third)
            thread.start()
            assert waiting.wait(20)
            assert not entered.is_set()
        assert entered.wait(20)
    thread.join()


def test_a_place_is_given_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), limits.held({"gpu": 1, "database": 1}):
        raise ZeroDivisionError
    with limits.held({"gpu": 1, "database": 1}, pytest.fail):
        pass


def test_limits_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(limits.DEFAULTS, raising=False)
    assert limits.of_this_machine() == {}
    monkeypatch.setenv(limits.DEFAULTS, "gpu=1, database=3,")
    assert limits.of_this_machine() == {"gpu": 1, "database": 3}


@pytest.mark.parametrize("text", ["gpu", "gpu=", "gpu=0", "=1", "gpu=-1", "gpu=a"])
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(limits.LimitError, match="is not NAME=N with N at least 1"):
        limits.parse(text)
