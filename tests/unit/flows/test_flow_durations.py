"""What is expected of stages from how long they took before."""

from pathlib import Path

import pytest

from flows import durations
from flows.graph import Plan, Stage


@pytest.fixture(autouse=True)
def _repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")


def plan(*addresses: str, cached: tuple[str, ...] = ()) -> Plan:
    return {
        address: Stage(address, (), () if address in cached else ("never run",), (), (), ()) for address in addresses
    }


def test_stages_are_counted_where_nothing_is_known() -> None:
    assert durations.expected(plan("a", "b", "c", cached=("b",))) == {"a": 1.0, "b": 0.0, "c": 1.0}


def test_a_stage_that_never_ran_counts_as_those_of_its_group() -> None:
    durations.remember({"train@a": 20.0, "train@b": 40.0, "register@a": 3.0})
    durations.remember({"train@b": 60.0})
    assert durations.expected(plan("train@a", "train@b", "train@c", "report")) == {
        "train@a": 20.0,
        "train@b": 60.0,
        "train@c": 40.0,
        "report": pytest.approx(83 / 3),
    }


@pytest.mark.parametrize("text", ["", "[1]", '{"a": "long"}', '{"a": null}'])
def test_a_file_that_is_not_ours_is_as_none(text: str, tmp_path: Path) -> None:
    durations.remember({"a": 5.0})
    (tmp_path / durations.FILE).write_text(text)
    assert durations.expected(plan("a")) == {"a": 1.0}
    durations.remember({"a": 5.0})
    assert durations.expected(plan("a")) == {"a": 5.0}
    assert [path.name for path in (tmp_path / durations.FILE).parent.iterdir()] == ["durations.json"]
