"""DVC's graph as a plan: selection, order, reasons."""

from collections.abc import Callable, Iterable

import pytest

from flows.graph import Choice, SelectionError, may_change, read_plan, width
from tests.dvc_repositories import DVC, DvcRepository


@pytest.fixture
def repository(new_repository: Callable[[str], DvcRepository], monkeypatch: pytest.MonkeyPatch) -> DvcRepository:
    """raw.dvc → clean@a, clean@b → fit@a, fit@b; and a pipeline of its own in sub/."""
    made = new_repository("repository")
    monkeypatch.chdir(made.folder)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", made.environment["DVC_SITE_CACHE_DIR"])
    made.write("raw", "corn\n")
    made.write("params.yaml", "rate: {a: 1, b: 1}\n")
    made.command(str(DVC), "add", "--quiet", "raw")
    each = ["a", "b"]
    clean = {"cmd": "cat raw > clean.${item}", "deps": ["raw"], "outs": ["clean.${item}"]}
    fit = {"cmd": "cat clean.${item} > fit.${item}", "deps": ["clean.${item}"], "outs": ["fit.${item}"]}
    made.stages(
        clean={"foreach": each, "do": clean},
        fit={"foreach": each, "do": {**fit, "params": ["rate.${item}"]}},
    )
    made.write("sub/dvc.yaml", "stages: {other: {cmd: echo x > y, outs: [y]}}\n")
    return made


def chosen(*names: str, downstream: bool = False) -> list[str]:
    return list(read_plan(Choice(names, downstream)))


def test_selection(repository: DvcRepository) -> None:
    everything = ["raw.dvc", "clean@a", "fit@a", "clean@b", "fit@b"]
    assert sorted(chosen()) == sorted(everything)
    assert chosen("fit@b") == ["raw.dvc", "clean@b", "fit@b"]
    assert chosen("a") == ["raw.dvc", "clean@a", "fit@a"]
    assert chosen("clean") == ["raw.dvc", "clean@a", "clean@b"]
    assert chosen("raw.dvc") == ["raw.dvc"]
    assert chosen("clean@a", downstream=True) == ["raw.dvc", "clean@a", "fit@a"]
    assert chosen("sub/dvc.yaml") == ["sub/dvc.yaml:other"]
    assert list(read_plan(Choice(("sub",), recursive=True))) == ["sub/dvc.yaml:other"]
    assert sorted(read_plan(Choice(("fit@*",), glob=True))) == sorted(everything)


def test_unknown_names(repository: DvcRepository) -> None:
    with pytest.raises(SelectionError, match=r"^no stage, group or system is named fit@c; did you mean fit@[ab]\?$"):
        read_plan(Choice(("fit@c",)))
    with pytest.raises(SelectionError, match=r"^no stage, group or system is named fot@\*; did you mean "):
        read_plan(Choice(("fot@*",), glob=True))
    (repository.folder / "empty").mkdir()
    with pytest.raises(SelectionError, match=r"^no stage is in empty$"):
        read_plan(Choice(("empty",), recursive=True))


def reasons(names: Iterable[str] = ()) -> dict[str, tuple[str, ...]]:
    return {address: stage.reasons for address, stage in read_plan(Choice(tuple(names))).items() if stage.reasons}


def test_reasons(repository: DvcRepository) -> None:
    assert reasons() == dict.fromkeys(["clean@a", "fit@a", "clean@b", "fit@b"], ("never run",))
    repository.repro()
    assert reasons() == {}

    repository.write("params.yaml", "rate: {a: 2, b: 1}\n")
    (repository.folder / "clean.b").unlink()
    assert reasons() == {
        "fit@a": ("params.yaml: rate.a modified",),
        "clean@b": ("clean.b deleted",),
        "fit@b": ("clean.b deleted",),
    }
    repository.write("dvc.yaml", repository.read("dvc.yaml").replace("cat raw >", "cp raw"))
    assert reasons(["clean@a"]) == {"clean@a": ("its command changed",)}


def test_what_may_change_and_how_wide(repository: DvcRepository) -> None:
    repository.repro()
    repository.write("dvc.yaml", repository.read("dvc.yaml").replace("cat raw >", "cp raw"))
    plan = read_plan()
    assert sorted(may_change(plan)) == ["clean@a", "clean@b", "fit@a", "fit@b"]
    assert width(plan, may_change(plan)) == 2
    assert width(plan, []) == 1


def test_force_is_a_reason(repository: DvcRepository) -> None:
    assert all("forced" in stage.reasons for stage in read_plan(Choice(("fit@a",), force=True)).values())
