"""Projects under git with registered versions, proposed by one person, for another to decide on."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest

from tests.unit.registry.candidates import PARAMS, perfect, write_candidate, write_evaluation
from tidemill.registry import content, promotion, versions
from tidemill.registry.content import Content
from tidemill.registry.decision_entry import Entry, signed
from tidemill.registry.decision_log import DecisionLog, champion_of, following
from tidemill.registry.identity import Identity
from tidemill.registry.registration import register
from tidemill.tracking import tags
from tidemill.tracking.store import connect

ROOT = Path(__file__).parents[3]
GRACE = Identity("Grace <grace@localhost>", "git")
LOCK = """
stages:
  ingest@bars:
    cmd: python -m pipelines.ingest bars
    deps: [{path: data/bars, hash: md5, md5: 0123456789abcdef0123456789abcdef.dir}]
    outs: [{path: artifacts/bars/ingest/test.parquet, hash: md5, md5: fedcba9876543210fedcba9876543210}]
"""


def start(project: Path) -> None:
    """Make the working folder a repository whose proposer is Ada; what comes after the commit may be dirt."""
    (project / ".gitignore").write_text("/artifacts/\n/.tidemill/\n")
    (project / "dvc.lock").write_text(LOCK)
    (project / "params.yaml").write_text(PARAMS)
    for command in (
        ["init", "--quiet"],
        ["config", "user.name", "Ada"],
        ["config", "user.email", "ada@localhost"],
        ["add", "--all"],
        ["commit", "--quiet", "-m", "Start"],
    ):
        subprocess.run(["git", *command], cwd=project, check=True)


def propose(project: Path, seed: int, wrong: int, params: str = PARAMS) -> str:
    """Register a version of drawn weights that gets so many of thirty rows wrong; return its number."""
    system = write_candidate(project, "bars", params, seed)
    folder = project / "artifacts" / "bars"
    test = pd.read_parquet(folder / "ingest" / "test.parquet")
    write_evaluation(folder, system, test, perfect(test, ["0", "1", "2"], wrong))
    return str(register("bars", system, folder)["version"])


def crown(system: str, version: str, by: Identity = GRACE) -> None:
    """Make a version champion by two entries of the log, whatever the rules say of it."""
    client = connect()
    log = DecisionLog(client, system)
    with TemporaryDirectory() as scratch:
        reviewed = Content(content.fetched(promotion.version_of(client, system, version), Path(scratch)), None).hashes()
    for state in ("begun", "done"):
        entries = log.entries()
        last = entries[-1] if entries else None
        same = {"when": "2026-01-01T00:00:00+00:00", "system": system, "action": "promote", "version": version}
        entry = Entry(
            **same,
            **following(entries),  # type: ignore[arg-type]
            state=state,
            champion_before=last.champion_before if last and state == "done" else champion_of(entries),
            champion_after=version,
            who=by.who,
            identity=by.source,
            why="for the test",
            reviewed=reviewed,
        )
        assert log.append(signed(entry, by))
    promotion.put_alias(client, system, version)


def stored(project: Path, system: str, version: str) -> Path:
    """The folder of a version's files in a project's own store."""
    entry = promotion.version_of(connect(), system, version)
    return project / f".tidemill/mlflow/artifacts/{system}/{entry.run_id}/artifacts" / entry.tags[tags.FOLDER]


@contextmanager
def as_before(project: Path, system: str, version: str) -> Iterator[Path]:
    """Make a version one that was registered before the whole of it was signed: with a signature of its model alone.

    Its files are put back afterwards.
    """
    client, folder = connect(), stored(project, system, version)
    shorter = folder.with_name(folder.name[: len("candidate-12345678")])
    with changed(folder):
        folder.rename(shorter)
        for name in (content.SIGNATURE, versions.PROPOSAL):
            (shorter / name).unlink()
        client.set_model_version_tag(system, version, tags.FOLDER, shorter.name)
        client.delete_model_version_tag(system, version, tags.STATEMENT)
        yield shorter
    shutil.rmtree(shorter)


@contextmanager
def changed(folder: Path) -> Iterator[Path]:
    """Put a folder back afterwards, whatever has become of it."""
    with TemporaryDirectory() as scratch:
        kept = shutil.copytree(folder, Path(scratch) / "kept")
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(kept, folder)


def proposed_project(folder: Path, store: Path | str) -> Path:
    """A project with two challengers, the second the better one, without a champion.

    Args:
        store: An empty SQLite store, which is copied, or the address of another.
    """
    own = folder / ".tidemill" / "mlflow"
    own.mkdir(parents=True)
    (folder / "requirements").symlink_to(ROOT / "requirements")
    with pytest.MonkeyPatch.context() as patch:
        if isinstance(store, Path):
            shutil.copyfile(store, own / "mlflow.db")
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        else:
            patch.setenv("MLFLOW_TRACKING_URI", store)
        patch.chdir(folder)
        start(folder)
        assert [propose(folder, seed=0, wrong=9), propose(folder, seed=1, wrong=3)] == ["1", "2"]
    return folder


@contextmanager
def as_it_was(project: Path) -> Iterator[None]:
    """Put the store's tables, the decisions and the deciders' keys back afterwards; files of artifacts stay."""
    database, kept = project / ".tidemill/mlflow/mlflow.db", project / ".tidemill/kept.db"
    _copy(database, kept)
    yield
    _copy(kept, database)
    for folder in ("decisions", "keys/deciders", ".tidemill/keys/deciders"):
        shutil.rmtree(project / folder, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    """As SQLite itself copies: connections that are open see the new content."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
