"""The recipes of CONTRIBUTING.md: each adds a plug-in by its files alone, and the pipeline runs on it."""

import re
from collections.abc import Callable
from configparser import ConfigParser
from typing import Any

import pandas as pd
import pytest
from ruamel.yaml import YAML

from tests.projects import DIGITS, REVIEWS, ROOT, Project, write_digits, write_reviews
from tidemill.core.files import read_json

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = dict(zip(*[iter(re.split(r"\n### (.+)\n", TEXT.partition("## Recipes")[2])[1:])] * 2, strict=True))
FILE = re.compile(r"```python\n# (\S+\.py)\n(.*?)```", re.DOTALL)
SHORT = {**REVIEWS, "training": {**REVIEWS["training"], "epochs": 1}, "gates": {}}


def follow(project: Project, recipe: str) -> list[str]:
    """Write the files of a recipe, and return their paths."""
    files = FILE.findall(RECIPES[recipe])
    for name, content in files:
        path = project.folder / name
        assert not path.exists(), "a recipe adds files, and changes none"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return [name for name, _ in files]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small project of reviews and digits, with every recipe of CONTRIBUTING.md followed, its stages up to date."""
    made = Project(tmp_path_factory.mktemp("recipes") / "project")
    write_reviews(made.folder / "raw/reviews")
    write_digits(made.folder / "raw/digits")
    for recipe in RECIPES:
        follow(made, recipe)
    _write_ini(made)
    _write_articles(made)
    made.params(**_systems())
    made.commit()
    made.run("dvc", "repro", "--quiet")
    return made


def _systems() -> dict[str, Any]:
    articles = YAML(typ="safe").load(re.search(r"```yaml\n(.*?)```", RECIPES["A task"], re.DOTALL)[1])  # type: ignore[index]
    sweep = {"space": {"training.lr": {"low": 0.001, "high": 0.1}}, "sampler": "quasirandom", "trials": 2}
    return {
        "averaged": {**SHORT, "model": {"name": "average"}, "sweep": sweep},
        "ini": {**SHORT, "source": {"path": "data/reviews.ini", "format": "ini"}, "gates": {"overfitting": 5.0}},
        **articles["systems"],
    }


def _write_ini(project: Project) -> None:
    parser = ConfigParser(interpolation=None)
    for label in ("pos", "neg"):
        lines = (project.folder / f"raw/reviews/{label}.txt").read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            parser[f"{label} {number}"] = {"text": line, "label": label}
    (project.folder / "data").mkdir(exist_ok=True)
    with (project.folder / "data/reviews.ini").open("w", encoding="utf-8") as stream:
        parser.write(stream)


def _write_articles(project: Project) -> None:
    words = {"sport": "match goal team coach league", "politics": "vote law senate budget treaty"}
    rows = [
        {"headline": f"{word} {number}", "body": f"the {word} of {number * 7} was new {own}", "label": label}
        for label, own in words.items()
        for number in range(60)
        for word in own.split()
    ]
    pd.DataFrame(rows).to_csv(project.folder / "data/articles.csv", index=False)


def test_there_are_seven_recipes() -> None:
    assert list(RECIPES) == ["A model", "A task", "A source format", "A metric", "A gate", "A sampler", "A flow"]


def test_each_recipe_is_one_folder_or_one_file() -> None:
    for recipe, text in RECIPES.items():
        names = [name for name, _ in FILE.findall(text)]
        folders = {name.rpartition("/")[0] for name in names}
        assert names and len(folders) == 1, recipe


def test_a_new_model_trains_and_becomes_a_version(project: Project) -> None:
    assert read_json(project.artifact("averaged", "train/model/config.json"))["model"]["name"] == "average"
    assert read_json(project.artifact("averaged", "register/registration.json"))["version"] == "1"


def test_a_new_task_goes_through_all_stages(project: Project) -> None:
    evaluation = read_json(project.artifact("articles", "evaluate/evaluation.json"))
    assert evaluation["task"] == "article_classification"
    assert evaluation["probes"]
    assert read_json(project.artifact("articles", "register/registration.json"))["version"] == "1"


def test_a_new_format_is_read(project: Project) -> None:
    rows = pd.read_parquet(project.artifact("ini", "ingest/train.parquet"))
    assert set(rows["label"]) == {"pos", "neg"}
    assert rows["row"].str.startswith("reviews.ini:").all()


def test_a_new_metric_is_measured_with_its_interval(project: Project) -> None:
    for system in ("averaged", "ini", "articles"):
        found = read_json(project.artifact(system, "evaluate/evaluation.json"))["metrics"]["top_two"]
        assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1


def test_a_new_gate_is_checked(project: Project) -> None:
    gates = {gate["name"]: gate for gate in read_json(project.artifact("ini", "register/registration.json"))["gates"]}
    assert gates["ceiling.gap of validation and training loss"]["limit"] == 5.0
    project_params = YAML(typ="safe").load(project.folder / "params.yaml")
    project_params["systems"]["ini"]["gates"] = {"overfiting": 5.0}
    refused = _check(project, project_params)
    assert refused.endswith("systems.ini.gates: no 'overfiting'; did you mean 'overfitting'?\n")


def test_a_new_sampler_searches(project: Project) -> None:
    project.run("tidemill", "sweep", "averaged")
    assert "training" in (project.folder / "sweep-averaged.patch").read_text(encoding="utf-8")


def test_a_new_flow_runs(project: Project) -> None:
    assert "top_two" in project.run("python", "-m", "flows.rebuild", "articles")


def test_a_model_and_a_task_that_do_not_fit_are_refused_by_name_before_any_stage(project: Project) -> None:
    params = YAML(typ="safe").load(project.folder / "params.yaml")
    params["systems"]["digits"] = {**DIGITS, "model": {"name": "average"}}
    refused = _check(project, params)
    assert "systems.digits.model: average cannot do image_classification" in refused
    assert "mlp" in refused


def _check(project: Project, params: dict[str, Any]) -> str:
    """What `dvc repro` prints of other params, which it refuses in its first stage; the params are put back."""
    path = project.folder / "params.yaml"
    before = path.read_bytes()
    try:
        with path.open("w", encoding="utf-8") as stream:
            YAML().dump(params, stream)
        done = project.start("python", "-m", "pipelines.check")
    finally:
        path.write_bytes(before)
    assert done.returncode == 1
    return done.stderr


def test_a_recipe_reruns_no_system_that_does_not_use_it(new_project: Callable[[], Project]) -> None:
    made = new_project()
    write_reviews(made.folder / "raw/reviews", 60)
    made.params(reviews=SHORT)
    made.commit()
    made.run("dvc", "repro", "--quiet", "tokenize@reviews")
    for recipe in ("A model", "A task", "A source format", "A sampler", "A flow"):
        follow(made, recipe)
    changed = made.run("dvc", "status", "ingest@reviews", "validate@reviews", "tokenize@reviews")
    assert "reviews" not in changed
