"""A trained and evaluated model, as its stages left it: what `register` reads."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tidemill.config import System
from tidemill.errors import TidemillError
from tidemill.files import read_json, sha256_file
from tidemill.models import CONFIG, WEIGHTS


@dataclass(frozen=True)
class Candidate:
    """One system's outputs under `artifacts/<name>/`."""

    name: str
    system: System
    folder: Path

    @property
    def model(self) -> Path:
        """Folder of the weights."""
        return self.folder / "train" / "model"

    @property
    def curves(self) -> Path:
        """Table of the training's metrics: step, name, value."""
        return self.folder / "train" / "curves.csv"

    @property
    def results(self) -> Path:
        """Folder of the evaluation, its report and predictions."""
        return self.folder / "evaluate"

    def table(self, split: str) -> Path:
        """Table of the ingested rows of a split."""
        return self.folder / "ingest" / f"{split}.parquet"

    @cached_property
    def config(self) -> dict[str, Any]:
        """What the model is: among others its `spec`, what it knows of its input."""
        config: dict[str, Any] = read_json(self.model / CONFIG)
        return config

    @cached_property
    def weights_sha256(self) -> str:
        """Hash of the weights."""
        return sha256_file(self.model / WEIGHTS)

    @cached_property
    def evaluation_sha256(self) -> str:
        """Hash of the evaluation, by which one of the same weights on another test set is told apart."""
        return sha256_file(self.results / "evaluation.json")

    @property
    def megabytes(self) -> float:
        """Size of the weights, in millions of bytes."""
        return (self.model / WEIGHTS).stat().st_size / 1e6

    @property
    def latency(self) -> dict[str, Any]:
        """How long one row takes."""
        found: dict[str, Any] = read_json(self.results / "latency.json")
        return found

    @property
    def validation(self) -> dict[str, Any]:
        """Which expectations its data met."""
        found: dict[str, Any] = read_json(self.folder / "validate" / "validation.json")
        return found

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """What was measured.

        Raises:
            TidemillError: it was measured of other weights.
        """
        found: dict[str, Any] = read_json(self.results / "evaluation.json")
        if found["weights_sha256"] != self.weights_sha256:
            raise TidemillError(f"{self.results}/evaluation.json is not of {self.model}: run the evaluate stage again")
        return found
