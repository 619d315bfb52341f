"""What a version was made from: complete, in the published schema, and null where it cannot be known."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from dvc.lock import Lock

from tests.unit.registry.candidates import PARAMS
from tidemill.core.files import sha256_file
from tidemill.core.params import read_system
from tidemill.registry import lineage

SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "lineage.schema.json"
LOCK = """schema: '2.0'
stages:
  ingest@bars:
    cmd: python -m pipelines.ingest bars
    deps:
    - {path: data/bars, hash: md5, md5: 5d41402abc4b2a76b9719d911017c592.dir, size: 5, nfiles: 1}
    - {path: src/tidemill/core, hash: md5, md5: 7d793037a0760186574b0282f2f435e7, size: 5}
    outs:
    - {path: artifacts/bars/ingest/test.parquet, hash: md5, md5: 9e107d9d372bb6826bd81d3542a419d6, size: 7}
  train@bars:
    cmd: python -m pipelines.train bars
  register@bars:
    cmd: python -m pipelines.register bars
  train@stars:
    cmd: python -m pipelines.train stars
"""


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


def collected() -> dict[str, Any]:
    return collected_of("bitwise")


def collected_of(determinism: str, parent: str | None = None) -> dict[str, Any]:
    config = {"training": {"seed": 0, "determinism": determinism}, "device": "cpu"}
    evaluation = {"test_set": {"sha256": "b" * 64, "rows": 30}, "bootstrap": {"seed": 7}}
    params = read_system("bars", Path("params.yaml"))
    return lineage.collect("bars", params, config, evaluation, "a" * 64, "c" * 32, parent)


@pytest.fixture
def repository(project: Path) -> Path:
    """A project with one commit."""
    Path("params.yaml").write_text(PARAMS)
    Path("dvc.lock").write_text(LOCK)
    Path(".gitignore").write_text("/.tidemill/\n/artifacts/\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    return project


def validated(document: dict[str, Any]) -> dict[str, Any]:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(json.dumps(document)), schema)
    return document


def test_a_clean_tree(repository: Path) -> None:
    found = validated(collected())
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert found["code"] == {"commit": commit, "dirty": False, "diff": None, "untracked": {}, "experiment": None}
    assert found["params"] == read_system("bars", Path("params.yaml"))
    assert found["seeds"] == {"training": 0, "evaluate": 7}
    assert found["environment"]["packages"]["torch"].startswith("2.")
    assert "requirements/torch.lock" in found["environment"]["locks"]


def test_the_lock_and_ignored_files_are_no_dirt(repository: Path) -> None:
    Path("dvc.lock").write_text(LOCK + "  ingest@more: {cmd: x}\n")
    Path("artifacts").mkdir()
    Path("artifacts/model.bin").write_text("weights")
    found = collected()
    assert found["code"]["dirty"] is False
    assert found["dvc"]["lock_sha256"] == sha256_file(Path("dvc.lock"))


def test_a_lock_that_dvc_is_writing_is_read_once_it_is_whole(repository: Path) -> None:
    Path(".dvc/tmp").mkdir(parents=True)
    writing = Lock(".dvc/tmp/lock")
    whole = collected()["dvc"]

    with writing, ThreadPoolExecutor() as other:
        Path("dvc.lock").write_text("")
        found = other.submit(lineage.lock_entries, "bars")
        with pytest.raises(TimeoutError):
            found.result(timeout=0.3)
        Path("dvc.lock").write_text(LOCK)
        writing.unlock()
        assert found.result() == whole["stages"]
        writing.lock()


def test_a_dirty_tree_carries_its_difference(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    changed = PARAMS.replace("hidden: [4]", "hidden: [5]")
    Path("params.yaml").write_text(changed)
    Path("notes ü.txt").write_text("mine")
    code = validated(collected())["code"]
    assert code["dirty"] is True
    assert code["untracked"] == {"notes ü.txt": sha256_file(Path("notes ü.txt"))}
    git("checkout", "params.yaml")
    patch = tmp_path_factory.mktemp("patch") / "diff"
    patch.write_text(code["diff"])
    git("apply", str(patch))
    assert Path("params.yaml").read_text() == changed


def test_an_untracked_file_alone_is_dirt(repository: Path) -> None:
    Path("extra.py").write_text("print()")
    assert collected()["code"]["dirty"] is True


def test_the_entries_it_was_made_from(repository: Path) -> None:
    found = collected()
    assert sorted(found["dvc"]["stages"]) == ["ingest@bars", "train@bars"]
    assert found["data"] == {
        "data/bars": "md5:5d41402abc4b2a76b9719d911017c592.dir",
        "artifacts/bars/ingest/test.parquet": "md5:9e107d9d372bb6826bd81d3542a419d6",
    }


def test_without_git_and_without_dvc(project: Path) -> None:
    Path("params.yaml").write_text(PARAMS)
    found = validated(collected())
    assert found["code"]["commit"] is None
    assert found["code"]["dirty"] is None
    assert found["dvc"] == {"lock_sha256": None, "stages": {}}
    assert "tidemill.commit" not in lineage.as_tags(found)


def test_a_repository_without_a_commit(project: Path) -> None:
    Path("params.yaml").write_text(PARAMS)
    git("init")
    assert validated(collected())["code"]["commit"] is None


@pytest.mark.parametrize("variable", ["PREFECT__FLOW_RUN_ID", "TIDEMILL_FLOW_RUN_ID"])
def test_the_flow_run(repository: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    assert collected()["flow_run_id"] is None
    monkeypatch.setenv(variable, "0b5e2f6c")
    assert validated(collected())["flow_run_id"] == "0b5e2f6c"


def test_what_a_repetition_may_differ_by_is_stated(repository: Path) -> None:
    for tier, tolerance in (("bitwise", 0.0), ("tolerance", 0.01), ("fast", None)):
        found = collected_of(tier, "d" * 32)
        assert (validated(found)["determinism"], found["tolerance"]) == (tier, tolerance)
        assert lineage.as_tags(found)["tidemill.parent_run_id"] == "d" * 32


def test_an_older_schema_is_read_as_todays(repository: Path) -> None:
    whole = collected()
    first = {name: value for name, value in whole.items() if name not in ("parent_run_id", "tolerance")}
    first["environment"] = {name: value for name, value in whole["environment"].items() if name != "processor"}
    read = lineage.upgraded(first | {"schema_version": 1})
    assert set(read) == set(whole)
    assert read == whole | {"schema_version": 1, "environment": whole["environment"] | {"processor": None}}
    assert set(lineage.NOT_RECORDED) == set(whole)
    assert set(lineage.NOT_RECORDED["environment"]) == set(whole["environment"])


def test_tags_are_text_worth_a_search(repository: Path) -> None:
    found = collected()
    tags = lineage.as_tags(found)
    assert tags["tidemill.commit"] == found["code"]["commit"]
    assert tags["tidemill.dirty"] == "false"
    assert tags["tidemill.weights_sha256"] == "a" * 64
    assert "5d41402abc4b2a76b9719d911017c592" in tags["tidemill.data"]
    assert all(isinstance(value, str) for value in tags.values())
