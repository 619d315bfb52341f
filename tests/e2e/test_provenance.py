"""Versions traced back: reproduced bit for bit when nothing is left but repository, DVC remote and registry."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from tests.projects import DIGITS, REVIEWS, Project, write_digits, write_idx, write_reviews

IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@localhost")


class History(Project):
    """A project whose registry and remote outlive its folder, and the clones made of it."""

    def commit_all(self, message: str) -> str:
        """Commit all that git does not ignore; return the commit."""
        self.run("git", "add", "--all")
        self.run("git", *IDENTITY, "commit", "--quiet", "-m", message)
        return self.run("git", "rev-parse", "HEAD").strip()

    def tidemill(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line to its end."""
        return subprocess.run(
            ["tidemill", *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def artifact_of(self, address: str, path: str) -> Path:
        """A file that the registry keeps with a version."""
        document = json.loads(self.tidemill("lineage", address, "--json").stdout)
        return next(self.store().glob(f"artifacts/*/{document['run_id']}/artifacts/*/{path}"))

    def store(self) -> Path:
        """The folder of the registry."""
        return Path(self.environment["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")).parent

    def predictions(self, address: str) -> pd.DataFrame:
        """A version's answers to the test rows."""
        return pd.read_parquet(self.artifact_of(address, "predictions.parquet"))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Two versions of digits, the second of fewer rows and a smaller network; one of reviews, of a dirty tree."""
    root = tmp_path_factory.mktemp("history")
    project = History(root / "workspace" / "project")
    write_digits(project.folder / "raw/digits")
    write_reviews(project.folder / "raw/reviews")
    project.params(digits=DIGITS, reviews=REVIEWS)
    project.run("dvc", "remote", "add", "--default", "local", str(root / "remote"))
    project.run("dvc", "config", "core.analytics", "false")
    project.run("dvc", "add", "--quiet", "raw/digits")
    project.environment["FIRST"] = project.commit_all("Start")
    project.run("dvc", "repro", "--quiet", "register@digits")
    project.params(digits=DIGITS, reviews=REVIEWS | {"training": REVIEWS["training"] | {"epochs": 2}})
    (project.folder / "notes.txt").write_text("no stage reads this")
    project.run("dvc", "repro", "--quiet", "register@reviews")
    project.run("dvc", "push", "--quiet")
    (project.folder / "notes.txt").unlink()
    forget_rows(project.folder / "raw/digits")
    project.run("dvc", "add", "--quiet", "raw/digits")
    project.params(digits=DIGITS | {"model": DIGITS["model"] | {"hidden": [24]}}, reviews=REVIEWS)
    project.environment["SECOND"] = project.commit_all("Fewer rows, a smaller network")
    project.run("dvc", "repro", "--quiet", "register@digits")
    project.run("dvc", "push", "--quiet")
    project.commit_all("Run")
    project.run("git", "clone", "--quiet", "--bare", str(project.folder), str(root / "hub.git"))
    return project


@pytest.fixture(scope="module")
def clone(history: History) -> Iterator[History]:
    """A fresh clone, with the workspace gone but for its registry."""
    root = history.folder.parents[1]
    made = History.__new__(History)
    made.folder = root / "clone"
    subprocess.run(["git", "clone", "--quiet", str(root / "hub.git"), str(made.folder)], check=True)
    store = history.folder / ".tidemill/mlflow"
    kept = {history.folder / ".tidemill", store}
    for entry in [*history.folder.iterdir(), *store.parent.iterdir()]:
        if entry not in kept:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    made.environment = history.environment | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{store / 'mlflow.db'}",
        "PYTHONPATH": str(made.folder / "src"),
        "DVC_SITE_CACHE_DIR": str(root / "another-site-cache"),
    }
    yield made


def forget_rows(folder: Path) -> None:
    """Drop the first 100 pictures of the training rows."""
    for path, header in (("train-images-idx3-ubyte", 16), ("train-labels-idx1-ubyte", 8)):
        content = (folder / path).read_bytes()
        shape = [int.from_bytes(content[place : place + 4], "big") for place in range(4, header, 4)]
        write_idx(folder / path, np.frombuffer(content[header:], np.uint8).reshape(shape)[100:])


def count(store: Path) -> int:
    """Files of a DVC store."""
    return sum(path.is_file() for path in store.rglob("*"))


def needed_hashes(history: History, system: str, number: str) -> list[str]:
    """The md5 of each ingested table that a version was made from."""
    document = json.loads(history.tidemill("lineage", f"models:/{system}/{number}", "--json").stdout)
    return [digest.removeprefix("md5:") for path, digest in document["data"].items() if path.endswith(".parquet")]


def registry_state(clone: History) -> list[tuple[Any, ...]]:
    """Every run and version of the registry."""
    import sqlite3

    with sqlite3.connect(clone.environment["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///")) as database:
        runs = database.execute("select run_uuid, status, end_time from runs order by 1").fetchall()
        return runs + database.execute("select name, version, last_updated_time from model_versions").fetchall()


def test_gc_removes_what_no_version_needs(history: History) -> None:
    """Only the first commit, which is no tip, pins the raw data of digits 1; no commit has the hashes of its tables."""
    junk = history.folder / "junk.txt"
    junk.write_text("needed by nothing")
    history.run("dvc", "add", "--quiet", "junk.txt")
    history.run("dvc", "push", "--quiet", "junk.txt")
    for path in (junk, history.folder / "junk.txt.dvc"):
        path.unlink()
    stores = [history.folder / ".dvc/cache/files/md5", history.folder.parents[1] / "remote/files/md5"]
    rows = needed_hashes(history, "digits", "1")
    assert all((store / md5[:2] / md5[2:]).exists() for store in stores for md5 in rows)
    naive = history.run("dvc", "gc", "--force", "--dry", "--workspace", "--all-branches", "--all-tags")
    assert any(md5[2:] in naive for md5 in rows)
    before = [count(store) for store in stores]
    elsewhere = history.tidemill(
        "gc", "--yes", MLFLOW_TRACKING_URI=f"sqlite:///{history.folder.parents[1] / 'other.db'}"
    )
    assert elsewhere.returncode == 1 and "no version is registered in sqlite:" in elsewhere.stderr
    refused = history.tidemill("gc", "--cloud")
    assert refused.returncode != 0 and "models:/digits/1, models:/digits/2" in refused.stdout
    assert [count(store) for store in stores] == before
    done = history.tidemill("gc", "--cloud", "--yes")
    assert done.returncode == 0, done.stderr
    assert all(now < then for now, then in zip(map(count, stores), before, strict=True))
    assert all((store / md5[:2] / md5[2:]).exists() for store in stores for md5 in rows)


def test_the_lineage_is_a_tree(clone: History) -> None:
    done = clone.tidemill("lineage", "models:/digits@challenger")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("models:/digits/2 (challenger)")
    assert f"commit {clone.environment['SECOND']} (clean)" in done.stdout
    assert "model: name mlp, hidden [24]" in done.stdout
    document = json.loads(clone.tidemill("lineage", "models:/reviews/1", "--json").stdout)
    assert document["code"]["dirty"] is True and "notes.txt" in document["code"]["untracked"]
    assert document["tolerance"] == 0.0


def test_versions_are_found_by_data_and_by_commit(clone: History) -> None:
    first = json.loads(clone.tidemill("lineage", "models:/digits/1", "--json").stdout)
    by_data = clone.tidemill("lineage", "--from-data", first["data"]["raw/digits"]).stdout.splitlines()
    assert [line.split()[0] for line in by_data] == ["models:/digits/1"]
    by_commit = clone.tidemill("lineage", "--from-commit", clone.environment["FIRST"][:10], "--json")
    assert [one["version"] for one in json.loads(by_commit.stdout)] == ["models:/digits/1", "models:/reviews/1"]


def test_a_comparison_lists_all_that_differs(clone: History) -> None:
    told = clone.tidemill("compare", "models:/digits/1", "models:/digits/2")
    assert told.returncode == 0, told.stderr
    found = json.loads(clone.tidemill("compare", "models:/digits/1", "models:/digits/2", "--json").stdout)
    rows = found["data"]["rows"]
    assert sum(len(rows[split]["gone"]) for split in ("train", "valid")) == 100
    assert rows["train"]["added"] == rows["valid"]["added"] == [] and "test" not in rows
    assert found["params"] == {"model.hidden": ["[32]", "[24]"]}
    assert any("params.yaml" in line for line in found["code"]["diffstat"])
    assert found["environment"] == {}
    one, other = (clone.predictions(f"models:/digits/{number}") for number in (1, 2))
    right = [table["prediction"] == table["label"] for table in (one, other)]
    assert {row["id"] for row in found["flipped"]["broken"]} == set(one["id"][right[0] & ~right[1]])
    assert {row["id"] for row in found["flipped"]["fixed"]} == set(one["id"][~right[0] & right[1]])
    assert len(found["flipped"]["broken"]) + len(found["flipped"]["fixed"]) > 0
    assert found["flipped"]["changed"] == sum(one["prediction"] != other["prediction"])
    for line in (
        f"train: 0 rows added, {len(rows['train']['gone'])} gone",
        "model.hidden: [32] → [24]",
        "accuracy: 0.",
    ):
        assert line in told.stdout


def test_an_old_version_is_reproduced_bit_for_bit_with_the_workspace_gone(clone: History) -> None:
    before = registry_state(clone)
    done = clone.tidemill("reproduce", "models:/digits/1", "--json")
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert verdict["outcome"] == "identical"
    assert verdict["weights_now"] == verdict["weights_then"]
    assert verdict["environment"] == verdict["data"] == verdict["code"] == verdict["arithmetic"] == []
    assert "[5/5] train@digits" in done.stderr and "epoch 3/3" in done.stderr
    assert registry_state(clone) == before
    assert clone.run("git", "worktree", "list").count("\n") == 1


def test_a_dirty_version_is_reproduced_from_its_stored_difference(clone: History) -> None:
    asked = clone.tidemill("reproduce", "models:/reviews/1")
    assert asked.returncode == 1 and "+" in asked.stderr
    assert "files differ from its commit" in asked.stderr.splitlines()[-1]
    done = clone.tidemill("reproduce", "models:/reviews/1", "--trust")
    assert done.returncode == 0, done.stderr
    assert "bit for bit" in done.stdout
    assert "dirty tree: its stored difference was applied" in done.stdout


def test_other_arithmetic_is_called_that(clone: History) -> None:
    """Without vector instructions sums are taken in another order, as on another kind of processor."""
    done = clone.tidemill(
        "reproduce", "models:/reviews/1", "--trust", ATEN_CPU_CAPABILITY="default", MKL_CBWR="COMPATIBLE"
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert "models:/reviews/1 is not reproduced" in done.stdout
    assert "arithmetic    train@reviews wrote another artifacts/reviews/train/model" in done.stdout
    assert "\n  data " not in done.stdout and "\n  code " not in done.stdout


def test_another_environment_is_refused_and_named(clone: History, tmp_path: Path) -> None:
    fake = tmp_path / "tokenizers-0.0.1.dist-info"
    fake.mkdir()
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: tokenizers\nVersion: 0.0.1\n")
    done = clone.tidemill("reproduce", "models:/digits/1", PYTHONPATH=f"{tmp_path}:{clone.environment['PYTHONPATH']}")
    assert done.returncode == 1
    assert "tokenizers 0.0.1 (then " in done.stderr.splitlines()[-1]
    assert "--any-environment" in done.stderr.splitlines()[-1]


def test_a_missing_remote_is_one_line(clone: History, tmp_path: Path) -> None:
    """The clone's own cache has the data by now: another one is named."""
    local = clone.folder / ".dvc/config.local"
    gone = f"['remote \"local\"']\n    url = {tmp_path / 'gone'}\n"
    local.write_text(f"[cache]\n    dir = {tmp_path / 'cache'}\n{gone}")
    try:
        done = clone.tidemill("reproduce", "models:/digits/1")
    finally:
        local.unlink()
    assert done.returncode == 1
    assert "raw/digits is not in DVC's cache, and the remote does not provide it" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("digits", "names no version"),
        ("models:/digits/9", "is not in the registry"),
        ("models:/digits@champion", "is not in the registry"),
        ("models:/nothing/1", "is not in the registry"),
    ],
)
def test_a_version_that_is_not_there_is_one_line(clone: History, address: str, reason: str) -> None:
    done = clone.tidemill("reproduce", address)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert reason in done.stderr


def test_a_lineage_of_an_older_schema_still_prints(clone: History) -> None:
    document = clone.artifact_of("models:/reviews/1", "lineage.json")
    document.with_name("version.sig").unlink()  # as then, only the model is signed
    registry = MlflowClient(clone.environment["MLFLOW_TRACKING_URI"])
    registry.delete_model_version_tag("reviews", "1", "tidemill.statement")
    whole = json.loads(document.read_text())
    older = {name: whole[name] for name in ("system", "code", "data", "weights_sha256", "test_set", "run_id")}
    document.write_text(json.dumps(older | {"schema_version": 0}))
    done = clone.tidemill("lineage", "models:/reviews/1")
    assert done.returncode == 0, done.stderr
    assert "of an older schema, which did not record: parent_run_id, dvc, params, environment" in done.stdout
    assert "python not recorded" in done.stdout
    assert clone.tidemill("compare", "models:/digits/1", "models:/reviews/1").returncode == 0
    refused = clone.tidemill("reproduce", "models:/reviews/1")
    assert refused.returncode == 1
    assert "does not record its params, determinism" in refused.stderr
