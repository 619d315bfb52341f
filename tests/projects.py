"""A small project of real stages in a temporary folder: the house's own code, two systems, little data."""

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from tests.dvc_repositories import initialise, quiet_environment

ROOT = Path(__file__).parents[1]
CODE = ("pipelines", "flows", "src", "dvc.yaml", "requirements", ".dvcignore", ".gitignore")
BIN = Path(sys.executable).parent

DIGITS: dict[str, Any] = {
    "task": "image_classification",
    "source": {"path": "raw/digits", "format": "idx", "options": {"splits": {"train": "train", "test": "t10k"}}},
    "ingest": {"valid": 0.2, "near_duplicates": None},
    "validate": {},
    "tokenize": {"size": [8, 8], "channels": 1},
    "model": {"name": "mlp", "hidden": [32], "dropout": 0.2},
    "training": {"epochs": 3, "batch": 32, "lr": 1e-3, "save_every": 5, "log_every": 4, "threads": 1},
    "evaluate": {"resamples": 100},
    "gates": {"thresholds": {"accuracy": 0.5}, "baseline": None},  # so small a network may lose to it
}
REVIEWS: dict[str, Any] = {
    "task": "text_classification",
    "source": {"path": "raw/reviews", "format": "text", "options": {"label": "name"}},
    "ingest": {"near_duplicates": None},
    "validate": {},
    "tokenize": {"unit": "characters", "vocabulary": 500, "length": 20},
    "model": {"name": "lstm", "embedding": 16, "hidden": 16},
    "training": {"epochs": 4, "batch": 16, "lr": 0.01, "threads": 1},
    "evaluate": {"resamples": 100},
    "gates": {"thresholds": {"accuracy": 0.5}, "baseline": None},  # so small a network may lose to it
}
NGRAMS: dict[str, Any] = REVIEWS | {
    "tokenize": {"unit": "ngrams", "characters": [1, 3]},
    "model": {"name": "linear", "strengths": [0.1, 1.0]},
    "training": {},
    "gates": {"thresholds": {"accuracy": 0.5}},
}
"""A linear model of the same reviews, good enough for its baselines."""


class Project:
    """A git and DVC repository with the house's code, whose stages run by DVC or by themselves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        for name in CODE:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.egg-info"))
            else:
                shutil.copyfile(ROOT / name, folder / name)
        self.environment = quiet_environment(folder / ".tidemill") | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(folder / "src"), str(folder)]),
            "GX_ANALYTICS_ENABLED": "False",
        }
        initialise(folder)

    def params(self, **systems: dict[str, Any]) -> None:
        """Write params.yaml."""
        with (self.folder / "params.yaml").open("w", encoding="utf-8") as stream:
            YAML().dump({"systems": systems}, stream)

    def commit(self) -> None:
        """Commit all that git does not ignore."""
        self.run("git", "add", "--all")
        self.run("git", "-c", "user.name=Ada", "-c", "user.email=ada@localhost", "commit", "--quiet", "-m", "Start")

    def stage(self, name: str, system: str) -> subprocess.CompletedProcess[str]:
        """Run one stage by itself; its outcome is for the caller to look at."""
        return self.start("python", "-m", f"pipelines.{name}", system)

    def stages(self, system: str, *names: str) -> None:
        """Run stages by themselves, which must succeed."""
        for name in names:
            self.run("python", "-m", f"pipelines.{name}", system)

    def run(self, *command: str) -> str:
        """Run a command, which must succeed; return all that it printed."""
        done = self.start(*command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def start(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)

    def artifact(self, system: str, path: str) -> Path:
        """A file of a stage's outputs."""
        return self.folder / "artifacts" / system / path


def write_digits(folder: Path) -> None:
    """scikit-learn's 1,797 real handwritten digits (8x8) as IDX files, the last 300 set aside for the test."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = (digits.images * 15.9).astype(np.uint8), digits.target.astype(np.uint8)
    folder.mkdir(parents=True)
    for prefix, part in (("train", slice(0, 1497)), ("t10k", slice(1497, None))):
        write_idx(folder / f"{prefix}-images-idx3-ubyte", images[part])
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels[part])


def write_idx(path: Path, values: np.ndarray) -> None:
    """An IDX file of bytes."""
    header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    path.write_bytes(header + values.tobytes())


def write_reviews(folder: Path, rows: int = 300) -> None:
    """Two classes of short Chinese reviews, told apart by their words; no two are alike."""
    things = [
        "房间",
        "早餐",
        "服务",
        "位置",
        "价格",
        "电脑",
        "屏幕",
        "键盘",
        "书",
        "故事",
        "纸张",
        "快递",
        "包装",
        "颜色",
        "声音",
    ]
    times = ["今天", "昨天", "上周", "这次", "每次", "去年", "第一次", "第二次", "晚上", "早上"]
    words = {"pos": ["很好", "满意", "喜欢", "推荐", "舒服"], "neg": ["很差", "失望", "讨厌", "后悔", "难受"]}
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for label, own in words.items():
        lines: set[str] = set()
        while len(lines) < rows:
            one, two = generator.choice(things, 2, replace=False)
            lines.add(f"{generator.choice(times)}的{one}{generator.choice(own)}，{two}也{generator.choice(own)}。")
        (folder / f"{label}.txt").write_text("\n".join(sorted(lines)) + "\n", encoding="utf-8")


def gzipped(path: Path) -> Path:
    """The file packed by gzip, in place of itself."""
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return packed
