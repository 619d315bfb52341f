"""A clone without the shipped systems: what is left runs, and nothing is lost that git does not have."""

import shutil
from collections.abc import Callable

import pandas as pd

from tests.dvc_repositories import TIDEMILL
from tests.projects import ROOT, Project


def test_an_empty_project_is_one_command_away(new_project: Callable[[], Project]) -> None:
    project = new_project()
    for name in ("params.yaml", "dvc.lock", "data.dvc"):
        shutil.copyfile(ROOT / name, project.folder / name)
    project.commit()
    params, lock = project.folder / "params.yaml", project.folder / "dvc.lock"
    shipped = params.read_text(encoding="utf-8")

    params.write_text(f"# mine\n{shipped}", encoding="utf-8")
    refused = project.start(TIDEMILL, "clear")
    assert refused.returncode == 1
    assert refused.stderr == "error: params.yaml would be lost, as git does not have it as it is: commit it first\n"
    assert lock.exists()

    params.write_text(shipped, encoding="utf-8")
    said = project.run(TIDEMILL, "clear")
    assert said.startswith("params.yaml: no system and no source\ndvc.lock: removed\ndata.dvc: removed\n")
    left = params.read_text(encoding="utf-8")
    assert "\nsystems: {}\n" in left and "\nsources: {}\n" in left and "  digits_small:\n" in left
    assert project.run(TIDEMILL, "check") == "params.yaml: no mistake; systems: none\n"
    project.run(TIDEMILL, "fetch")
    assert "check" in project.run(TIDEMILL, "status")

    pd.DataFrame({"text": [f"word {row}" for row in range(40)], "label": ["a", "b"] * 20}).to_csv(
        project.folder / "news.csv", index=False
    )
    project.run(TIDEMILL, "new", "news", "--source", "news.csv", "--task", "text_classification", "--budget", "0")
    assert "train@news" in project.run(TIDEMILL, "status")
