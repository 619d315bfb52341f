"""A private training through all stages: what it spent stands in metrics, model, card, report, lineage and gate."""

import pytest

from tests.projects import DIGITS, Project, write_digits
from tests.stages.in_process import STAGES, run_stages
from tidemill.core.files import read_json
from tidemill.registry import history

PRIVATE = DIGITS | {
    "training": {"epochs": 4, "batch": 128, "lr": 0.01, "privacy": {"epsilon": 4.0, "delta": 1e-4}},
    "evaluate": {"resamples": 100, "membership": {"rows": 500}},
    "gates": {"thresholds": {"accuracy": 0.5}, "baseline": None, "epsilon": 3.0, "membership": {"auc": 0.7}},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("private") / "project")
    write_digits(made.folder / "raw/digits")
    made.params(digits=PRIVATE)
    made.commit()
    run_stages(made.folder, "digits", *STAGES, "register", environment=made.environment)
    return made


def test_what_was_spent_stands_wherever_a_person_looks(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    spent = read_json(project.artifact("digits", "train/model/config.json"))["privacy"]
    assert 3.9 < spent["epsilon"] <= 4.0 and spent["steps"] == 4 * -(-_rows(project) // 128)
    assert read_json(project.artifact("digits", "train/metrics.json"))["epsilon"] == spent["epsilon"]
    for document in ("model-card.md", "report.html"):
        assert f"{spent['epsilon']:.3f}" in project.artifact("digits", f"evaluate/{document}").read_text("utf-8")
    monkeypatch.chdir(project.folder)
    for variable, value in project.environment.items():
        monkeypatch.setenv(variable, value)
    assert history.find("models:/digits/1").lineage["privacy"] == spent


def test_it_learns_and_gives_little_away(project: Project) -> None:
    evaluation = read_json(project.artifact("digits", "evaluate/evaluation.json"))
    assert evaluation["metrics"]["accuracy"]["value"] > 0.6
    found = evaluation["membership"]
    assert found["rows"] == {"train": 500, "test": 300}
    assert found["loss_threshold"]["auc"]["low"] < 0.55


def test_the_gates_hold_it_against_their_limits(project: Project) -> None:
    gates = {
        gate["name"]: gate for gate in read_json(project.artifact("digits", "register/registration.json"))["gates"]
    }
    assert (
        not gates["ceiling.epsilon"]["passed"] and "above the highest allowed 3" in gates["ceiling.epsilon"]["sentence"]
    )
    assert gates["membership.auc"]["passed"]


def _rows(project: Project) -> int:
    rows: int = read_json(project.artifact("digits", "ingest/profile.json"))["rows"]["train"]
    return rows
