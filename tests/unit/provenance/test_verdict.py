"""The verdict on weights made again, and what is called the cause of a difference."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tidemill.provenance import verdict

ENTRIES: dict[str, Any] = {
    "ingest@bars": {
        "deps": [
            {"path": "data/bars", "hash": "md5", "md5": "a.dir"},
            {"path": "src/tidemill/core", "hash": "md5", "md5": "b"},
        ],
        "params": {"params.yaml": {"systems.bars.task": "image_classification"}},
        "outs": [{"path": "artifacts/bars/ingest/train.parquet", "hash": "md5", "md5": "c"}],
    },
    "train@bars": {
        "deps": [{"path": "artifacts/bars/ingest/train.parquet", "hash": "md5", "md5": "c"}],
        "params": {"params.yaml": {"systems.bars.training": {"seed": 0, "lr": 0.001}}},
        "outs": [{"path": "artifacts/bars/train/model", "hash": "md5", "md5": "d.dir"}],
    },
}


def weights(folder: Path, name: str, shift: float = 0.0, shape: tuple[int, ...] = (3, 4)) -> Path:
    path = folder / name
    save_file({"layer.weight": torch.full(shape, 2.0) + shift, "layer.bias": torch.ones(2)}, path)
    return path


def differing(now: dict[str, Any]) -> dict[str, list[str]]:
    return verdict.differences(ENTRIES, now, "bars", "data/bars")


def test_the_distance_is_relative_to_the_weights(tmp_path: Path) -> None:
    then = weights(tmp_path, "then")
    assert verdict.distance(then, weights(tmp_path, "same")) == 0
    expected = (12 * 0.1**2) ** 0.5 / (12 * 2.0**2 + 2) ** 0.5
    assert verdict.distance(then, weights(tmp_path, "near", 0.1)) == pytest.approx(expected, rel=1e-5)
    assert verdict.distance(then, weights(tmp_path, "other", shape=(4, 4))) is None


@pytest.mark.parametrize(
    ("distance", "tolerance", "expected"),
    [
        (0.0, 0.0, "identical"),
        (0.0, None, "identical"),
        (1e-9, 0.0, "different"),
        (0.009, 0.01, "within tolerance"),
        (0.011, 0.01, "different"),
        (1e-9, None, "different"),
        (None, 0.01, "different"),
        (float("nan"), 0.01, "different"),
    ],
)
def test_the_tier_decides(distance: float | None, tolerance: float | None, expected: str) -> None:
    assert verdict.outcome(distance, tolerance) == expected


def test_the_same_entries_differ_in_nothing() -> None:
    assert differing(deepcopy(ENTRIES)) == {"data": [], "code": [], "arithmetic": []}


def test_each_difference_has_its_kind() -> None:
    now = deepcopy(ENTRIES)
    now["ingest@bars"]["deps"][0]["md5"] = "z.dir"
    assert differing(now)["data"] == ["data/bars"]
    now = deepcopy(ENTRIES)
    now["ingest@bars"]["deps"][1]["md5"] = "z"
    now["train@bars"]["params"]["params.yaml"]["systems.bars.training"]["lr"] = 0.01
    found = differing(now)
    assert found["code"] == [
        "src/tidemill/core",
        "params.yaml.systems.bars.training.lr is 0.01 (then 0.001)",
    ]


def test_only_the_first_stage_that_wrote_otherwise_is_named() -> None:
    now = deepcopy(ENTRIES)
    now["ingest@bars"]["outs"][0]["md5"] = now["train@bars"]["deps"][0]["md5"] = "z"
    now["train@bars"]["outs"][0]["md5"] = "z.dir"
    found = differing(now)
    assert found["arithmetic"] == ["ingest@bars wrote another artifacts/bars/ingest/train.parquet"]
    assert found["data"] == found["code"] == []
