"""params.yaml under DVC alone: its own round trip changes one value, and no mistake gets past the stage `check`."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml
from ruamel.yaml import YAML

from tests.projects import DIGITS, NGRAMS, REVIEWS, ROOT, Project
from tidemill.core.params import read_yaml
from tidemill.project.params import load_project

SHIPPED = ROOT / "params.yaml"
MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "a misspelt param": (
        DIGITS | {"training": {"epoch": 3}},
        "params.yaml: systems.digits.training.epoch: no such param; did you mean 'epochs'?",
    ),
    "a missing block": (
        {name: block for name, block in DIGITS.items() if name != "evaluate"},
        "params.yaml: systems.digits.evaluate is missing (write `evaluate: {}`",
    ),
    "a misspelt task": (
        DIGITS | {"task": "image_clasification"},
        "params.yaml: systems.digits.task: no 'image_clasification'; did you mean 'image_classification'?",
    ),
    "a model that cannot do the task": (
        DIGITS | {"model": {"name": "lstm"}},
        "params.yaml: systems.digits.model: lstm cannot do image_classification",
    ),
    "a model that reads no n-grams": (
        REVIEWS | {"tokenize": {"unit": "ngrams", "characters": [1, 3]}},
        "params.yaml: systems.digits.model: lstm cannot do text_classification, which goes from n-grams to labels; "
        "these models can: linear; or let systems.digits.tokenize.unit make tokens, which lstm reads",
    ),
    "a model that reads nothing but n-grams": (
        REVIEWS | {"model": {"name": "linear"}, "training": {}},
        "params.yaml: systems.digits.model: linear cannot do text_classification, which goes from tokens to labels; "
        "these models can: bert, lstm, transformers; or let systems.digits.tokenize.unit make n-grams, which linear reads",
    ),
    "a param that a solver does not read": (
        NGRAMS | {"training": {"epochs": 3}},
        "params.yaml: systems.digits.training.epochs: a solver finds the weights of this model, and reads only bagging, calibrate, "
        "loss, seed, threshold: write `training: {}`",
    ),
    "n-grams of nothing": (
        NGRAMS | {"tokenize": {"unit": "ngrams"}},
        "params.yaml: systems.digits.tokenize: value error, unit ngrams needs words, characters or both",
    ),
    "the length of n-grams": (
        NGRAMS | {"tokenize": {"unit": "ngrams", "words": [1, 2], "length": 100}},
        "params.yaml: systems.digits.tokenize: value error, length is a param of tokens, but unit ngrams makes n-grams",
    ),
}
"""A system with one mistake, and how the line that names it begins."""
HOSTILE = ("x; touch owned", "$(touch owned)", "`touch owned`", "x' && touch owned; '")
"""Names of a system that a shell would read as more than a name."""


@pytest.fixture
def params(tmp_path: Path) -> Path:
    """A copy of the shipped file."""
    path = tmp_path / "params.yaml"
    path.write_bytes(SHIPPED.read_bytes())
    return path


def test_a_round_trip_of_dvc_changes_no_value(params: Path) -> None:
    with modify_yaml(params):
        pass
    assert read_yaml(params) == read_yaml(SHIPPED)
    assert load_project(params) == load_project(SHIPPED)


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("digits.training.lr", "0.003", 0.003),
        ("stories.training.lr", "1e-4", 1e-4),
        ("stories.model.width", "96", 96),
        ("digits.model.hidden", "[32,16]", [32, 16]),
        ("photos.tokenize.channels", "1", 1),
        ("poems.training.schedule.name", "fixed", "fixed"),
        ("digits.ingest.near_duplicates", "0.9", 0.9),
    ],
)
def test_an_experiment_changes_the_one_value_that_it_sets(params: Path, path: str, text: str, value: object) -> None:
    apply_overrides(params, [f"systems.{path}={text}"])  # as `dvc exp run -S` does
    expected = read_yaml(SHIPPED)
    *blocks, name = path.split(".")
    block = expected["systems"]
    for part in blocks:
        block = block[part]
    assert block[name] != value
    block[name] = value
    assert read_yaml(params) == expected
    load_project(params)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("mistakes") / "project")


def as_yaml(params: dict[str, Any]) -> str:
    stream = StringIO()
    YAML().dump(params, stream)
    return stream.getvalue()


def refused(project: Project, text: str, *command: str) -> list[str]:
    """Run a command of DVC with these params; it must fail in the stage `check`, as the only one that it starts.

    Returns:
        The lines that say why.
    """
    (project.folder / "params.yaml").write_text(text, encoding="utf-8")
    done = project.start("dvc", *(command or ("repro",)))
    assert done.returncode != 0
    assert not (project.folder / "owned").exists()
    assert not (project.folder / "artifacts").exists()
    assert [line for line in done.stdout.splitlines() if line] == [
        "Running stage 'check':",
        "> python -m pipelines.check",
    ]
    return [line for line in done.stderr.splitlines() if line and not line.startswith("ERROR: failed to reproduce")]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_stops_dvc_before_any_work(project: Project, mistake: str) -> None:
    system, message = MISTAKES[mistake]
    [line] = refused(project, as_yaml({"systems": {"digits": system}}))
    assert line.startswith(message)


def test_a_mistake_in_another_system_stops_a_single_one(project: Project) -> None:
    wrong, message = MISTAKES["a misspelt param"]
    text = as_yaml({"systems": {"right": DIGITS, "digits": wrong}})
    [line] = refused(project, text, "repro", "--force", "ingest@right")
    assert line.startswith(message)


@pytest.mark.parametrize("write", [as_yaml, json.dumps], ids=["systems", "quoted"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_a_shell_would_run_stops_dvc(project: Project, name: str, write: Any) -> None:
    text = write({"systems": {name: DIGITS}})
    assert ('"systems":' in text) == (write is json.dumps)
    [line] = refused(project, text)
    assert line.startswith(f"params.yaml: systems.{name}.") and repr(name) in line


def test_a_block_that_names_no_files_stops_dvc_itself(project: Project) -> None:
    """Its paths are filled in from these params, so it cannot even read dvc.yaml."""
    for block in ("source", "model", "task"):
        system = {name: value for name, value in DIGITS.items() if name != block}
        (project.folder / "params.yaml").write_text(as_yaml({"systems": {"digits": system}}), encoding="utf-8")
        done = project.start("dvc", "repro")
        assert done.returncode != 0 and "Running" not in done.stdout
        assert f"Could not find 'item.{block}" in done.stderr
