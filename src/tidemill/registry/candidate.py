"""A trained and evaluated model, as its stages left it: what `register` reads."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json, sha256_file
from tidemill.core.params import read_block
from tidemill.models.common.networks import CONFIG, WEIGHTS
from tidemill.registry.params import Gates, with_limits


@dataclass(frozen=True)
class Candidate:
    """One system's outputs under `artifacts/<name>/`."""

    name: str
    params: dict[str, Any]
    """The system's blocks, as they stand in `params.yaml`."""
    folder: Path

    @cached_property
    def gates(self) -> Gates:
        """What it must reach.

        Raises:
            TidemillError: a param of the block is unknown or of a wrong type.
        """
        return with_limits(read_block(self.params, self.name, "gates", Gates), f"systems.{self.name}")

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
        """Return the table of the ingested rows of a split."""
        return self.folder / "ingest" / f"{split}.parquet"

    @cached_property
    def config(self) -> dict[str, Any]:
        """What the model is: among others its `spec`, what it knows of its input, and the params of its training."""
        config: dict[str, Any] = read_json(self.model / CONFIG)
        return config

    @cached_property
    def weights_sha256(self) -> str:
        """Hash of the weights."""
        return sha256_file(self.model / WEIGHTS)

    @cached_property
    def evaluation_sha256(self) -> str:
        """Hash of the evaluation, which differs where the same weights are evaluated on another test set."""
        return sha256_file(self.results / "evaluation.json")

    @property
    def megabytes(self) -> float:
        """Size of the weights, in millions of bytes."""
        return (self.model / WEIGHTS).stat().st_size / 1e6

    @property
    def latency(self) -> dict[str, Any]:
        """How long the prediction of one row takes."""
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
            TidemillError: it was measured with other weights.
        """
        found: dict[str, Any] = read_json(self.results / "evaluation.json")
        if found["weights_sha256"] != self.weights_sha256:
            raise TidemillError(f"{self.results}/evaluation.json is not of {self.model}: run the evaluate stage again")
        return found
