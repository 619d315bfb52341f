"""Mistakes in params.yaml are found before any work, each with its path and the nearest valid name."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.projects import DIGITS, ROOT
from tidemill.core.errors import TidemillError
from tidemill.core.params import checked
from tidemill.project.params import Project, load_project, load_system


def written(folder: Path, **changes: object) -> Path:
    path = folder / "params.yaml"
    with path.open("w", encoding="utf-8") as stream:
        YAML().dump({"systems": {"digits": DIGITS | changes}}, stream)
    return path


def test_the_shipped_params_are_right() -> None:
    project = load_project(ROOT / "params.yaml")
    assert {"digits", "sentiment", "photos", "assistant", "stories", "poems"} == set(project.systems)
    assert project.presets


def test_numbers_are_read_as_dvc_reads_them(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("lr: 0.001", "lr: 1e-4"), encoding="utf-8")
    assert load_system("digits", path).training.lr == 1e-4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainin": {}}, "systems.digits.trainin: no such param; did you mean 'training'?"),
        ({"training": {"epoch": 3}}, "systems.digits.training.epoch: no such param; did you mean 'epochs'?"),
        (
            {"training": {"schedule": {"nam": "fixed"}}},
            "systems.digits.training.schedule.nam: no such param; did you mean 'name'?",
        ),
        ({"training": {"epochs": "3"}}, "systems.digits.training.epochs: input should be a valid integer, not '3'"),
        ({"training": {"lr": -1.0}}, "systems.digits.training.lr: input should be greater than 0, not -1.0"),
        (
            {"training": {"optimizer": "adm"}},
            "systems.digits.training.optimizer: input should be 'sgd', 'adam' or 'adamw'",
        ),
        (
            {"task": "image_clasification"},
            "systems.digits.task: no 'image_clasification'; did you mean 'image_classification'?",
        ),
        ({"model": {"name": "mpl"}}, "systems.digits.model.name: no 'mpl'; did you mean 'mlp'?"),
        ({"model": {"name": "mlp", "hiden": [3]}}, "systems.digits.model.hiden: no such param; did you mean 'hidden'?"),
        ({"model": {}}, "systems.digits.model needs a name"),
        ({"tokenize": {"sizes": [8, 8]}}, "systems.digits.tokenize.sizes: no such param; did you mean 'size'?"),
        (
            {"source": {"path": "x", "format": "idxx", "options": {}}},
            "systems.digits.source.format: no 'idxx'; did you mean 'idx'?",
        ),
        ({"source": {"path": "x", "format": "idx", "options": {}}}, "systems.digits.source.options.splits is missing"),
        (
            {"gates": {"thresholds": {"accuracy": "high"}}},
            "systems.digits.gates.thresholds.accuracy: input should be a valid number",
        ),
        (
            {"evaluate": {"recitation": {}}},
            "systems.digits.evaluate.recitation: image_classification generates no text; write null",
        ),
    ],
)
def test_a_mistake_is_named_with_its_path(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(TidemillError) as caught:
        load_project(written(tmp_path, **changes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("licence", "message"),
    [
        ({}, "sources.mine.0.licence is missing"),
        (
            {"licence": "Free"},
            "sources.mine.0.licence: value error, should be an SPDX expression, as `MIT`, or `LicenseRef-`",
        ),
        ({"licence": ""}, "sources.mine.0.licence: value error, should be an SPDX expression"),
    ],
)
def test_a_source_names_its_licence(tmp_path: Path, licence: dict[str, str], message: str) -> None:
    download = {"from": ["mine.csv"], "sha256": None, "name": "mine.csv"}
    with pytest.raises(TidemillError, match=re.escape(message)) as caught:
        checked(Project, {"sources": {"mine": [download | licence]}, "systems": {}}, "")
    assert "`licence: {}`" not in str(caught.value)
    known = checked(
        Project, {"sources": {"mine": [download | {"licence": "mit or LicenseRef-Own"}]}, "systems": {}}, ""
    )
    assert known.sources["mine"][0].licence == "MIT OR LicenseRef-Own"


def test_several_mistakes_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(TidemillError, match=r"training\.epoch: .*; systems\.digits\.training\.btch: "):
        load_project(written(tmp_path, training={"epoch": 1, "btch": 2}))


def test_a_missing_block_says_how_to_write_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    with path.open("w", encoding="utf-8") as stream:
        YAML().dump(
            {"systems": {"digits": {name: part for name, part in DIGITS.items() if name != "evaluate"}}}, stream
        )
    with pytest.raises(TidemillError, match=r"systems\.digits\.evaluate is missing \(write `evaluate: {}`"):
        load_project(path)


def test_an_unknown_system_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(TidemillError, match="no system 'digit'; did you mean 'digits'"):
        load_system("digit", written(tmp_path))


def test_a_file_that_is_not_there_or_not_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(TidemillError, match=r"nowhere\.yaml is missing"):
        load_project(tmp_path / "nowhere.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("systems: [", encoding="utf-8")
    with pytest.raises(TidemillError, match=r"broken\.yaml is not YAML"):
        load_project(broken)
