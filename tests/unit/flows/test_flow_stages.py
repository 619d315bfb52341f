"""Running single stages, and cutting their output into lines, without Prefect."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.output import Lines
from flows.stages import Options, StageRunner, stage_environment
from tests.dvc_repositories import DvcRepository


def fed(*parts: bytes) -> list[str]:
    shown: list[str] = []
    lines = Lines(shown.append)
    for part in parts:
        lines.feed(part)
    lines.close()
    return shown


def test_lines_are_shown_as_they_end() -> None:
    shown: list[str] = []
    lines = Lines(shown.append)
    lines.feed(b"one\ntw")
    assert shown == ["one"]
    lines.feed(b"o\r\nthree")
    assert shown == ["one", "two"]
    lines.close()
    assert shown == ["one", "two", "three"]


def test_of_a_progress_bar_the_first_and_the_last_state_are_shown() -> None:
    redraws = [f"\r{number}%".encode() for number in range(101)]
    assert fed(*redraws, b"\n", b"done\n") == ["0%", "100%", "done"]


def test_colours_are_dropped_and_bytes_that_are_no_text_survive() -> None:
    assert fed(b"\x1b[1;31mred\x1b[0m \xff\n") == ["red \ufffd"]


@given(st.lists(st.text("ab\n", max_size=9)), st.integers(1, 9))
def test_lines_do_not_depend_on_how_the_bytes_arrive(texts: list[str], size: int) -> None:
    data = "\n".join(texts).encode()
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    assert fed(*parts) == [line for line in data.decode().split("\n") if line]


def test_cores_are_divided_and_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "5")
    environment = stage_environment(at_once=3)
    assert (environment["OMP_NUM_THREADS"], environment["MKL_NUM_THREADS"]) == ("2", "5")


def test_how_stages_end(new_repository: Callable[[str], DvcRepository], monkeypatch: pytest.MonkeyPatch) -> None:
    repository = new_repository("repository")
    monkeypatch.chdir(repository.folder)
    commands = {
        "good": "echo fine > good; echo hello",
        "bad": "echo sorry; exit 7",
        "killed": "kill -9 $$",
        "empty": "true",
    }
    repository.stages(**{name: {"cmd": command, "outs": [name]} for name, command in commands.items()})
    shown: list[str] = []
    with StageRunner({**stage_environment(1), **repository.environment}) as runner:
        ends = {name: runner.run(name, shown.append) for name in [*commands, "nowhere"]}
        again = runner.run("good", shown.append)
        (repository.folder / "good").unlink()
        restored = runner.run("good", shown.append)
        forced = runner.run("good", shown.append, Options(force=True))
    kinds = {name: outcome.kind for name, outcome in ends.items()}
    assert kinds == {"good": "ran", "bad": "failed", "killed": "interrupted", "empty": "failed", "nowhere": "failed"}
    assert ends["bad"].message.splitlines()[-1] == "sorry"
    assert "'empty' does not exist" in ends["empty"].message
    assert (again.kind, forced.kind) == ("unchanged", "ran")
    assert restored.kind == "ran"  # nothing to look it up by: it has no dependency
    assert "hello" in shown
