"""What a user does, with the tools' own commands, from raw bytes to a model that predicts."""

import json
import re
import shutil

import pandas as pd
import pytest

from tests.projects import BIN, DIGITS, REVIEWS, ROOT, Project, write_digits, write_reviews

STAGES = ("ingest", "validate", "tokenize", "train", "evaluate", "register")
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of the two systems, little ones, brought up by the README's first command."""
    made = Project(tmp_path_factory.mktemp("way") / "project")
    write_digits(made.folder / "raw/digits")
    write_reviews(made.folder / "raw/reviews")
    made.params(digits=DIGITS, sentiment=REVIEWS)
    for name in ("Makefile", "pyproject.toml", "scripts", "README.md"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, made.folder / name)
    (made.folder / ".venv").symlink_to(BIN.parent, target_is_directory=True)
    made.commit()
    made.run("dvc", "remote", "add", "--default", "local", str(made.folder.parent / "remote"))
    made.environment["FIRST_RUN"] = made.run(
        "make", "--old-file", ".venv/.stamp", "run"
    )  # the environment is the one that runs this
    made.run("git", "add", "--all")
    made.run("git", "-c", "user.name=Ada", "-c", "user.email=ada@localhost", "commit", "--quiet", "-m", "Run")
    return made


def test_one_command_makes_every_output_and_says_where_to_look(project: Project) -> None:
    printed = project.environment["FIRST_RUN"]
    for system in ("digits", "sentiment"):
        assert "challenger" in json.loads(project.artifact(system, "register/registration.json").read_text())["alias"]
        assert project.artifact(system, "evaluate/report.html").stat().st_size > 10_000
    assert "report.html" in printed


def test_a_second_run_finds_nothing_to_do(project: Project) -> None:
    printed = project.run("tidemill", "run")
    assert printed.count("cached") >= 12
    assert "up to date" in project.run("dvc", "repro")
    assert "up to date" in project.run("dvc", "status")


def test_status_says_why_a_stage_would_run(project: Project) -> None:
    params = project.folder / "params.yaml"
    before = params.read_text(encoding="utf-8")
    params.write_text(before.replace("epochs: 3", "epochs: 2"), encoding="utf-8")
    try:
        printed = project.run("tidemill", "status", "digits")
    finally:
        params.write_text(before, encoding="utf-8")
    assert re.search(r"train@digits\s+run\s+.*training", printed), printed
    assert re.search(r"ingest@digits\s+cached", printed), printed


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("dvc metrics show", "accuracy"),
        ("dvc dag", "register@digits"),
        ("dvc plots show --json", "curves.csv"),
        ("tidemill doctor", "Python"),
    ],
)
def test_the_tools_show_what_was_made(project: Project, command: str, expected: str) -> None:
    assert expected in project.start(*command.split()).stdout


def test_the_experiment_of_the_readme_is_run_compared_and_shown(project: Project) -> None:
    [command] = (line for line in readme_commands() if line.startswith("dvc exp run"))
    project.run("bash", "-c", command)
    shown = project.run("dvc", "exp", "show", "--csv")
    assert "0.0003" in shown
    assert "metrics.json" in project.run("dvc", "metrics", "diff", "--all")
    assert "curves.csv" in project.run("dvc", "plots", "diff", "--json", "HEAD", "workspace")
    project.run("git", "checkout", "--quiet", "--", "params.yaml", "dvc.lock")
    project.run("dvc", "checkout", "--quiet")
    assert "up to date" in project.run("dvc", "status")


def test_another_clone_pulls_all_that_was_pushed(project: Project) -> None:
    project.run("dvc", "push", "--run-cache", "--quiet")
    clone = project.folder.parent / "clone"
    project.run("git", "clone", "--quiet", str(project.folder), str(clone))
    shutil.copytree(project.folder / "raw", clone / "raw", dirs_exist_ok=True)
    project.run("dvc", "--cd", str(clone), "pull", "--run-cache", "--quiet")
    assert "up to date" in project.run("dvc", "--cd", str(clone), "status")
    assert (clone / "artifacts/digits/train/model/model.safetensors").exists()


def test_the_registered_model_predicts_as_the_trained_one_did(project: Project) -> None:
    program = """
import json, os, sys
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
import mlflow, pandas as pd
from tidemill.tracking.store import store_uri
mlflow.set_tracking_uri(store_uri())
model = mlflow.pyfunc.load_model(f"models:/{sys.argv[1]}@challenger")
rows = pd.read_parquet(f"artifacts/{sys.argv[1]}/ingest/test.parquet")
model.predict(rows[[sys.argv[2]]]).to_json("predicted.json", orient="records")
"""
    for system, column in (("digits", "image"), ("sentiment", "text")):
        project.run("python", "-c", program, system, column)
        predicted = pd.read_json(project.folder / "predicted.json", dtype={"prediction": str})
        predictions = pd.read_parquet(project.artifact(system, "evaluate/predictions.parquet"))
        assert predicted["prediction"].tolist() == predictions["prediction"].tolist()
        assert predicted["confidence"].tolist() == pytest.approx(predictions["confidence"].tolist(), abs=1e-5)


def test_a_fresh_tracking_server_gets_the_versions_again(project: Project) -> None:
    shutil.rmtree(project.folder / ".tidemill/mlflow")
    assert "registering it there" in project.run("tidemill", "run")
    assert "registering it there" not in project.run("tidemill", "run")
    assert "up to date" in project.run("dvc", "status")


def test_a_mistake_in_params_is_found_before_any_work(project: Project) -> None:
    params = project.folder / "params.yaml"
    before = params.read_text(encoding="utf-8")
    params.write_text(before.replace("hidden: 16", "hiden: 16"), encoding="utf-8")
    try:
        for command in (("tidemill", "run"), ("tidemill", "status"), ("dvc", "repro", "--force", "ingest@digits")):
            done = project.start(*command)
            assert done.returncode != 0
            assert "systems.sentiment.model.hiden: no such param; did you mean 'hidden'?" in done.stdout + done.stderr
    finally:
        params.write_text(before, encoding="utf-8")


def readme_commands() -> list[str]:
    """Lines of the README's shell blocks that work on the project as it stands; set-up and servers are not among them."""
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    left_out = ("make ", "git clone", "cd ", "source ")
    return [line for line in lines if line and not line.startswith(left_out)]


def test_the_readme_shows_commands() -> None:
    assert len(readme_commands()) >= 6


@pytest.mark.parametrize("command", [line for line in readme_commands() if not line.startswith("dvc exp run")])
def test_another_command_of_the_readme_works(project: Project, command: str) -> None:
    project.run("bash", "-c", command)
