"""Retraining on changed, unchanged and broken upstreams: what it makes, and what it leaves alone."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from filelock import FileLock
from mlflow import MlflowClient
from ruamel.yaml import YAML

from tests.projects import REVIEWS, Project, write_reviews


class Upstream(Project):
    """A project of two systems whose data change with time: those of one by a source, of the other by its path."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder / "project")
        self.environment["PREFECT_API_URL"] = url
        self.reviews, self.news = folder / "upstream/reviews", folder / "upstream/news"
        write_reviews(self.reviews)
        write_reviews(self.news)
        moving = [
            {"from": [str(self.reviews / name)], "sha256": None, "licence": "MIT"} for name in ("pos.txt", "neg.txt")
        ]
        quick = REVIEWS | {
            "training": REVIEWS["training"] | {"epochs": 1},
            "gates": {"baseline": None},
        }  # an epoch does not reach it
        systems = {
            "reviews": quick | {"source": quick["source"] | {"path": "data/reviews"}},
            "news": quick | {"source": quick["source"] | {"path": str(self.news)}},
        }
        with (self.folder / "params.yaml").open("w", encoding="utf-8") as stream:
            YAML().dump({"sources": {"reviews": moving}, "systems": systems}, stream)
        self.run("tidemill", "fetch")
        self.run("dvc", "add", "--quiet", "data")
        self.run("git", "config", "user.name", "Ada")
        self.run("git", "config", "user.email", "ada@localhost")
        self.run("dvc", "repro", "--quiet", "register@reviews", "ingest@news")
        self.commit()

    def retrain(self) -> str:
        """Retrain by the command; return its last line, or its error, after which Prefect may still log."""
        done = self.start("tidemill", "retrain")
        if done.returncode == 0:
            return done.stdout.splitlines()[-1]
        return next(line for line in done.stderr.splitlines() if line.startswith("error: "))

    def branches(self) -> list[str]:
        return self.run("git", "branch", "--format=%(refname:short)").split()

    def assert_left_alone(self) -> None:
        """Nothing of what is checked out has changed, and no copy is left."""
        assert self.run("git", "status", "--porcelain", "--branch").split() == ["##", "main"]
        assert len(self.run("git", "worktree", "list").splitlines()) == 1
        assert "up to date" in self.run("dvc", "status", "data.dvc")


@contextmanager
def refusing_server() -> Iterator[str]:
    """A web server that answers nothing but 403."""

    class Refuses(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, prefect_url: str) -> Upstream:
    return Upstream(tmp_path_factory.mktemp("retrain"), prefect_url)


def test_unchanged_data_end_it_at_once(project: Upstream) -> None:
    assert project.retrain() == "nothing to do: the data are those of the last training"
    assert project.branches() == ["main"]
    project.assert_left_alone()


def test_two_never_overlap(project: Upstream) -> None:
    with FileLock(project.folder / ".tidemill/retrain.lock"):
        assert project.retrain() == "another retraining is running"


def test_uncommitted_changes_and_a_detached_head_are_left_as_they_are(project: Upstream) -> None:
    project.run("git", "checkout", "--quiet", "--detach")
    params = project.folder / "params.yaml"
    committed = params.read_text(encoding="utf-8")
    params.write_text(committed + "# half a thought\n", encoding="utf-8")
    try:
        done = project.start("tidemill", "retrain")
    finally:
        kept = params.read_text(encoding="utf-8")
        params.write_text(committed, encoding="utf-8")
        project.run("git", "checkout", "--quiet", "main")
    commit = project.run("git", "rev-parse", "--short=12", "main").strip()
    assert f"commit {commit}, without the uncommitted changes of params.yaml" in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "nothing to do: the data are those of the last training"
    assert kept == committed + "# half a thought\n"
    project.assert_left_alone()


def test_without_an_identity_it_ends_before_it_begins(project: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setitem(project.environment, name, os.devnull)
    project.run("git", "config", "user.useConfigOnly", "true")
    project.run("git", "config", "--unset", "user.email")
    try:
        said = project.retrain()
    finally:
        project.run("git", "config", "user.email", "ada@localhost")
    assert said.startswith("error: git does not know who commits: set `git config user.name NAME`"), said
    assert project.branches() == ["main"]
    project.assert_left_alone()


def test_a_remote_that_refuses_is_told(project: Upstream) -> None:
    cache, held = project.folder / ".dvc/cache/files", project.folder / "held"
    with refusing_server() as address:
        project.run("dvc", "remote", "add", "--quiet", "--local", "--default", "refuses", address)
        cache.rename(held)
        try:
            said = project.retrain()
        finally:
            shutil.rmtree(cache, ignore_errors=True)
            held.rename(cache)
            project.run("dvc", "remote", "remove", "--local", "refuses")
    assert said.startswith("error: data.dvc is not in DVC's cache, and the remote does not provide it: ")
    assert project.branches() == ["main"]
    project.assert_left_alone()


def test_a_broken_upstream_leaves_nothing(project: Upstream) -> None:
    held = project.folder / "held"
    for path, message in (
        (project.reviews / "pos.txt", "error: reviews: no address provides its file: "),
        (project.news, f"error: systems.news.source.path: {project.news} is not there"),
    ):
        shutil.move(path, held)
        try:
            assert project.retrain().startswith(message)
        finally:
            shutil.move(held, path)
    assert project.branches() == ["main"]
    project.assert_left_alone()


def test_changed_data_become_a_branch_and_a_proposal(project: Upstream) -> None:
    with (project.reviews / "pos.txt").open("a", encoding="utf-8") as stream:
        stream.write("今天的房间很好，早餐也满意，还想再来。\n")
    before = project.run("git", "rev-parse", "main")
    said = project.retrain()
    main, branch = project.branches()
    assert said == f"reviews: version 2 is proposed for review; branch {branch}"
    assert (main, branch[:11]) == ("main", "retrain/202")
    assert project.run("git", "rev-parse", "main") == before
    project.assert_left_alone()

    assert project.run("git", "diff", "--name-only", "main", branch).split() == ["data.dvc", "dvc.lock"]
    assert "no champion to compare with" in project.run("git", "log", "-1", "--format=%B", branch)
    registered = json.loads(project.artifact("reviews", "register/registration.json").read_text())
    assert registered["version"] == "1"
    store = f"sqlite:///{project.folder}/.tidemill/mlflow/mlflow.db"
    client = MlflowClient(store, store)  # another test of this process may have named another registry
    tags = client.get_model_version("reviews", "2").tags
    assert tags["tidemill.dirty"] == "false"
    assert tags["tidemill.commit"] == project.run("git", "rev-parse", f"{branch}^").strip()
    assert client.search_model_versions("name = 'news'") == []

    again = f"nothing new: reviews: version 2 is proposed for review; branch {branch} has it, and is not merged yet"
    assert project.retrain() == again
    assert project.branches() == [main, branch]
    assert {str(found.version) for found in client.search_model_versions("name = 'reviews'")} == {"1", "2"}

    project.run("git", "checkout", "--quiet", branch)
    project.run("dvc", "checkout", "--quiet", "--with-deps", "register@reviews")
    assert "up to date" in project.run("dvc", "repro", "register@reviews")
    assert "还想再来" in (project.folder / "data/reviews/pos.txt").read_text(encoding="utf-8")
