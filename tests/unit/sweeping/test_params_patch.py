"""A patch changes the values it is to change and not a byte more, and git applies it."""

import difflib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.projects import ROOT
from tidemill.core.params import read_yaml
from tidemill.project.params import load_system
from tidemill.sweeping.params_patch import patch, replaced

BLOCK = """# ours
systems:
  a:
    model:
      hidden:
      - 16   # narrow
      - 8
      name: mlp
    training: {lr: 1e-3, batch: 32}  # fast
    empty: {}
  b: {training: {lr: 1e-3}}
"""


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("a.training.lr", 0.01, "    training: {lr: 0.01, batch: 32}  # fast\n"),
        ("a.training.clip", 1.0, "    training: {lr: 1e-3, batch: 32, clip: 1.0}  # fast\n"),
        ("a.training.schedule.warmup", 0.1, '    training: {lr: 1e-3, batch: 32, schedule: {"warmup": 0.1}}  # fast\n'),
        ("a.empty.x", True, "    empty: {x: true}\n"),
        ("b.training.lr", 1e-05, "  b: {training: {lr: 1e-05}}\n"),
        ("a.model.name", "lstm", "      name: lstm\n"),
    ],
)
def test_one_line_changes(path: str, value: Any, line: str) -> None:
    old, new = BLOCK.splitlines(True), replaced(BLOCK, ["systems", *path.split(".")], value).splitlines(True)
    changed = [(before, after) for before, after in zip(old, new, strict=True) if before != after]
    assert [after for _, after in changed] == [line]


def test_a_block_list_and_a_new_key_of_a_block(tmp_path: Path) -> None:
    text = replaced(BLOCK, ["systems", "a", "model", "hidden"], [512, 64])
    text = replaced(text, ["systems", "a", "model", "dropout"], 0.5)
    (tmp_path / "params.yaml").write_text(text)
    found = read_yaml(tmp_path / "params.yaml")["systems"]
    assert found["a"]["model"] == {"dropout": 0.5, "hidden": [512, 64], "name": "mlp"}
    assert found["b"] == {"training": {"lr": 1e-3}}


def test_git_applies_it_to_the_shipped_params(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    values = {"training.lr": 0.0123, "model.hidden": [256, 128], "training.weight_decay": 0.1}
    (tmp_path / "sweep.patch").write_text(patch("digits", values, tmp_path / "params.yaml"))
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "apply", "sweep.patch"], cwd=tmp_path, check=True)
    found = load_system("digits", tmp_path / "params.yaml")
    assert (found.training.lr, found.training.weight_decay, found.model.hidden) == (0.0123, 0.1, [256, 128])
    old, new = ((folder / "params.yaml").read_text().splitlines() for folder in (ROOT, tmp_path))
    changed = [line.split() for line in difflib.ndiff(old, new) if line[0] in "+-"]
    assert sorted(changed) == sorted(
        [
            ["-", "hidden:"],
            ["-", "-", "512"],
            ["+", "hidden:", "[256,", "128]"],
            ["-", "lr:", "1e-3"],
            ["+", "lr:", "0.0123"],
            ["+", "weight_decay:", "0.1"],
        ]
    )
