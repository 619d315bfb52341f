"""What a change reruns: on the shipped params.yaml and dvc.yaml, the stages that DVC calls changed after an edit."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import pytest
from dvc.dependency import param
from dvc.repo import Repo
from ruamel.yaml import YAML

from tests.dvc_repositories import initialise, quiet_environment
from tests.projects import ROOT

STAGES = ("ingest", "validate", "tokenize", "train", "evaluate", "register")
CHECK = "check"
"""Looks at all params and all code, in a second; what it writes never changes, so nothing follows from it."""
PARAMS = YAML(typ="safe").load(ROOT / "params.yaml")
SYSTEMS: dict[str, Any] = PARAMS["systems"]
CODE = "src/tidemill"
ALL = frozenset(SYSTEMS)


def stages(names: str, systems: frozenset[str] = ALL) -> set[str]:
    """`stages("train evaluate", {"digits"})` is `{"train@digits", "evaluate@digits"}`."""
    return {f"{stage}@{system}" for stage in names.split() for system in systems}


def of_task(name: str) -> frozenset[str]:
    return frozenset(system for system, block in SYSTEMS.items() if block["task"] == name)


def of_model(name: str) -> frozenset[str]:
    return frozenset(system for system, block in SYSTEMS.items() if block["model"]["name"] == name)


def of_format(name: str) -> frozenset[str]:
    return frozenset(system for system, block in SYSTEMS.items() if block["source"]["format"] == name)


ONE_FILE = {
    "core/files.py": stages("ingest validate tokenize train evaluate register"),
    "sources/fetch.py": set(),
    "onboarding/new.py": set(),
    "sweeping/study.py": set(),
    "serving/service.py": set(),
    "serving/params.py": set(),
    "provenance/reproduce.py": set(),
    "project/params.py": set(),
    "cli/review.py": set(),
    "formats/idx.py": stages("ingest", of_format("idx")),
    "formats/json_records.py": stages("ingest", of_format("json_records")),
    "formats/common/files.py": stages("ingest"),
    "rows/splitting.py": stages("ingest"),
    "validation/suites.py": stages("validate"),
    "tokens/shards.py": stages("tokenize train evaluate register"),
    "tokens/ngrams.py": stages("tokenize train evaluate register"),
    "training/fit.py": stages("train"),
    "tracking/store.py": stages("train register"),
    "inference/predictor.py": stages("evaluate register"),
    "evaluation/report.py": stages("evaluate"),
    "registry/promotion.py": stages("register"),
    "registry/gates/baseline.py": stages("register"),
    "repository/git.py": stages("register"),
    "models/lstm/network.py": stages("train evaluate register", of_model("lstm")),
    "models/linear/solver.py": stages("train evaluate register", of_model("linear")),
    "models/bert/__init__.py": stages("train evaluate register", of_model("bert")),
    "models/common/attention.py": stages("train evaluate register"),
    "tasks/text_generation/rows.py": stages("ingest evaluate register", of_task("text_generation")),
    "tasks/text_generation/checks.py": stages("validate", of_task("text_generation")),
    "tasks/text_generation/encoding.py": stages("tokenize evaluate register", of_task("text_generation")),
    "tasks/image_classification/learning.py": stages("train", of_task("image_classification")),
    "tasks/question_answering/prediction.py": stages("evaluate register", of_task("question_answering")),
    "tasks/question_answering/scoring.py": stages("evaluate register", of_task("question_answering")),
    "tasks/text_classification/baselines.py": stages("evaluate", of_task("text_classification")),
    "tasks/text_classification/probes.py": stages("evaluate", of_task("text_classification")),
    "tasks/image_classification/proposal.py": set(),
    "tasks/common/learning.py": stages("train"),
    "tasks/common/scoring.py": stages("evaluate register"),
}
"""By a file of each room, the stages that a change of it reruns."""
OTHER_FILES = {
    "flows/schedule.py": set[str](),
    "docs/concepts.md": set[str](),
    "pipelines/train.py": stages("train"),
    "pipelines/register.py": stages("register"),
}
NEW_FILES = {
    f"{CODE}/formats/ini.py": set[str](),
    f"{CODE}/models/perceptron/__init__.py": set[str](),
    f"{CODE}/tasks/regression/rows.py": set[str](),
    f"{CODE}/sweeping/samplers/halton.py": set[str](),
    f"{CODE}/registry/gates/fairness.py": stages("register"),
    f"{CODE}/metrics/cohen_kappa.py": stages("evaluate register"),
    f"{CODE}/sources/torrent.py": set[str](),
}
"""A new plug-in of each kind: only what may use it from now on looks at it again."""
ONE_PARAM = {
    "source.columns": ({"x": "y"}, "ingest register"),
    "ingest.valid": (0.15, "ingest register"),
    "validate.minimum_rows": (11, "validate register"),
    "tokenize.size": ([14, 14], "tokenize register"),
    "model.activation": ("tanh", "train register"),
    "training.seed": (1, "train register"),
    "evaluate.resamples": (200, "evaluate register"),
    "gates.thresholds": ({"accuracy": 0.5}, "register"),
    "sweep.trials": (3, ""),
    "monitor": ({"sample": 200}, ""),
}
"""By a param of each block of `digits`, another value and the stages that it reruns."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The shipped project with all its stages up to date; what they read and write are stand-ins of a few bytes."""
    folder = tmp_path_factory.mktemp("reruns") / "project"
    folder.mkdir()
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and name not in ("dvc.lock", "data.dvc"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    environment = quiet_environment(folder / ".tidemill")
    initialise(folder)
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(param, "load_path", _parsed_once())
        with Repo() as repo:
            _write_stand_ins(repo)
            repo.commit(force=True)
        assert changed() == set()
        yield folder


def _parsed_once() -> Any:
    """DVC's reader of params, which parses a text once and not for each of 36 stages."""
    parse, parsed = param.load_path, dict[bytes, Any]()

    def load(path: str, *arguments: Any, **options: Any) -> Any:
        content = Path(path).read_bytes()
        if content not in parsed:
            parsed[content] = parse(path, *arguments, **options)
        return parsed[content]

    return load


def _write_stand_ins(repo: Repo) -> None:
    made = {Path(str(out)) for stage in repo.index.stages for out in stage.outs}
    read = {Path(str(dep)) for stage in repo.index.stages for dep in stage.deps}
    for path in sorted(made | read, key=lambda path: len(path.parts), reverse=True):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"stand-in for {path}\n")


def changed() -> set[str]:
    """Addresses of the stages that DVC would run in the working folder for a reason of their own, but for `check`."""
    with Repo() as repo:
        return {address.removeprefix("dvc.yaml:") for address in repo.status()} - {CHECK}


@contextmanager
def written(path: Path, content: str) -> Iterator[None]:
    """Give a file other content, or make it, until the block ends."""
    before = path.read_bytes() if path.exists() else None
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    try:
        yield
    finally:
        if before is None:
            path.unlink()
            for folder in made:
                folder.rmdir()
        else:
            path.write_bytes(before)


@pytest.mark.parametrize("name", ONE_FILE)
def test_a_change_of_a_file_reruns_what_depends_on_its_folder(project: Path, name: str) -> None:
    path = project / CODE / name
    with written(path, path.read_text(encoding="utf-8") + "\n# changed\n"):
        assert changed() == ONE_FILE[name]


def test_a_change_of_the_sources_reruns_nothing(project: Path) -> None:
    path = project / "params.yaml"
    with written(path, path.read_text(encoding="utf-8").replace("licence: MIT", "licence: Apache-2.0")):
        assert changed() == set()


@pytest.mark.parametrize("name", OTHER_FILES)
def test_a_change_outside_of_the_package_reruns_its_own_stage_at_most(project: Path, name: str) -> None:
    path = project / name
    with written(path, path.read_text(encoding="utf-8") + "\n# changed\n"):
        assert changed() == OTHER_FILES[name]


@pytest.mark.parametrize("name", NEW_FILES)
def test_a_new_plug_in_reruns_no_more_than_what_may_use_it(project: Path, name: str) -> None:
    with written(project / name, '"""New."""\n'):
        assert changed() == NEW_FILES[name]


@pytest.mark.parametrize("path", ONE_PARAM)
def test_a_change_of_a_param_reruns_the_stages_of_its_block(project: Path, path: str) -> None:
    value, expected = ONE_PARAM[path]
    params = YAML(typ="safe").load(project / "params.yaml")
    *blocks, name = path.split(".")
    block = params["systems"]["digits"]
    for part in blocks:
        block = block[part]
    block[name] = value
    with written(project / "params.yaml", json.dumps(params)):
        assert changed() == stages(expected, frozenset({"digits"}))


def test_a_new_preset_or_system_reruns_nothing_of_the_others(project: Path) -> None:
    params = YAML(typ="safe").load(project / "params.yaml")
    params["presets"]["another"] = params["systems"]["digits"]
    with written(project / "params.yaml", json.dumps(params)):
        assert changed() == set()
    params["systems"]["another"] = params["presets"].pop("another")
    with written(project / "params.yaml", json.dumps(params)):
        assert changed() == stages(" ".join(STAGES), frozenset({"another"}))


def test_cross_validation_adds_stages_of_its_own_and_reruns_no_other(project: Path) -> None:
    params = YAML(typ="safe").load(project / "params.yaml")
    params["cross_validation"]["systems"] = ["digits"]
    folds = {f"fold@digits-{number}" for number in params["cross_validation"]["folds"]}
    with written(project / "params.yaml", json.dumps(params)):
        assert changed() == {f"folds/dvc.yaml:{name}" for name in (*folds, "cross_validate@digits", "attack@digits")}
