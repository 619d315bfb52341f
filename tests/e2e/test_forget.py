"""Rows to forget: found in what versions were made from, left out of the next one, and named by the audit until then."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.projects import NGRAMS, Project, write_reviews

pytestmark = pytest.mark.slow

REVIEWER = {
    f"GIT_CONFIG_{name}": value
    for name, value in {
        "COUNT": "2",
        "KEY_0": "user.name",
        "VALUE_0": "Grace",
        "KEY_1": "user.email",
        "VALUE_1": "grace@localhost",
    }.items()
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, prefect_url: str) -> Project:
    """A system whose first version is in service."""
    made = Project(tmp_path_factory.mktemp("forget") / "project")
    made.environment["PREFECT_API_URL"] = prefect_url
    upstream = made.folder.parent / "reviews"
    write_reviews(upstream)
    made.params(reviews=NGRAMS | {"source": NGRAMS["source"] | {"path": str(upstream)}})
    made.run("git", "config", "user.name", "Ada")
    made.run("git", "config", "user.email", "ada@localhost")
    made.commit()
    made.run("dvc", "repro", "--quiet", "register@reviews")
    made.run("git", "add", "--all")
    made.run("git", "commit", "--quiet", "-m", "Trained")
    approve(made, "1")
    return made


def approve(project: Project, version: str) -> None:
    command = ["tidemill", "review", "approve", "reviews", version, "--why", "good"]
    done = subprocess.run(
        command, cwd=project.folder, env=project.environment | REVIEWER, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "-m", f"Approved {version}")


def test_what_learned_from_them_is_shown_and_trained_again_without_them(project: Project) -> None:
    train = pd.read_parquet(project.artifact("reviews", "ingest/train.parquet"))
    asked = project.folder.parent / "asked.csv"
    train[["text"]].head(5).to_csv(asked, index=False)

    shown = project.run("tidemill", "forget", "reviews", "--rows", str(asked), "--dry-run")
    assert "models:/reviews/1 (challenger) (champion): 5 in train, 0 in valid" in shown
    assert "note: learned from" not in project.run("tidemill", "audit", "reviews")

    printed = project.run("tidemill", "forget", "reviews", "--rows", str(asked))
    assert "reviews: version 2 is proposed for review" in printed and "branch forget/" in printed
    assert not (project.folder / "forgotten").exists(), "what is checked out is left alone"

    branch = project.run("git", "branch", "--list", "--format=%(refname:short)", "forget/*").strip()
    project.run("git", "merge", "--quiet", "--ff-only", branch)
    listed = (project.folder / "forgotten/reviews.txt").read_text(encoding="utf-8").split()
    assert listed == sorted(train["id"].head(5))
    project.run("dvc", "checkout", "--quiet", "--force")
    assert "up to date" in project.run("dvc", "status", "ingest@reviews", "train@reviews", "register@reviews")


def test_the_audit_names_a_version_in_service_that_has_seen_them(project: Project) -> None:
    """It follows the test above, as the merge of the branch did."""
    audit = project.run("tidemill", "audit", "reviews")
    assert "note: learned from rows to forget (5 in all): models:/reviews/1 (champion): 5 in train" in audit
    assert "it is in service" in audit and "models:/reviews/2" not in audit.partition("note: learned")[2]

    approve(project, "2")
    audit = project.run("tidemill", "audit", "reviews")
    assert "it is in service" not in audit and "models:/reviews/1: 5 in train, 0 in valid; a rollback could" in audit


def test_what_is_asked_for_twice_is_done_once(project: Project) -> None:
    ids = project.folder.parent / "ids.txt"
    ids.write_text((project.folder / "forgotten/reviews.txt").read_text(encoding="utf-8"), encoding="utf-8")
    printed = project.run("tidemill", "forget", "reviews", "--rows", str(ids))
    assert "nothing to do: all of these rows are in forgotten/ already" in printed


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.txt", "", "names no row"),
        ("wrong.txt", "12345\n", "'12345' is no id: an id has 16 hexadecimal digits"),
        ("other.csv", "colour\nred\n", "has neither a column id nor text"),
    ],
)
def test_a_file_that_names_no_rows_is_one_line(
    project: Project, tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    done = project.start("tidemill", "forget", "reviews", "--rows", str(tmp_path / name))
    assert done.returncode == 1 and message in done.stderr and len(done.stderr.splitlines()) == 1
