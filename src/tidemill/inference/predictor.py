"""A trained model as one object: raw rows in, predictions out, prepared as in training."""

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from tidemill.core import stopping
from tidemill.core.errors import TidemillError
from tidemill.core.files import read_json
from tidemill.core.params import Params
from tidemill.core.spec import READING, Spec
from tidemill.models.common import networks
from tidemill.tasks.common import encoding, prediction, rows
from tidemill.tokens import saved
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards, Shards

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import nn

    from tidemill.tokens.ngrams import NGrams

BATCH = 256
"""Rows that the network reads at once, at most."""
PIXELS = 2**19
"""Values of pictures that it reads at once: a convolution's outputs over more do not fit a CPU's cache, and take twice as
long."""


class Predictor:
    """The model of a folder with `model.safetensors`, `config.json` and, for text, `tokenizer.json`.

    Raises:
        TidemillError: a file is missing or damaged, or is that of another model.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.config = _read_config(self.folder)
        self.spec: Spec = self.config["spec"]
        self.task: str = self.config["task"]
        self.rows = rows.of(self.task)
        self.inputs = rows.inputs(self.task, self.spec)
        self.encoding = encoding.of(self.task)
        self.prediction = prediction.of(self.task)
        self.network = _read_network(self.folder, self.config)
        self.tokenizer = _read_tokenizer(self.folder)

    def predict(self, rows: pd.DataFrame | list[Any] | np.ndarray, **options: Any) -> pd.DataFrame:
        """Return a prediction for each row, under the index of the rows.

        Args:
            rows: a frame with the task's input columns, or, where there is one such column, a list or array of its
                values: texts, encoded pictures, or pixels.
            options: those of the task's `Options`, e.g. `temperature=0.7`.

        Returns:
            Columns `prediction`, `confidence`, `probabilities` and those that only this task has.

        Raises:
            TidemillError: a column is missing, a value cannot be read, or an option is unknown or out of range.
        """
        table, chosen = self._normalised(rows), self.options(options)
        if table.empty:
            return pd.DataFrame({"prediction": [], "confidence": [], "probabilities": []})
        if self.prediction.respond is None:
            return self.predict_normalised(table)
        found = self.prediction.respond(self.network, self._tokenizer, table, self.spec, chosen)
        return found.set_index(table.index)

    def predict_normalised(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return what is measured of rows in their normal form, as `predict_encoded` does of the same rows in shards.

        Raises:
            TidemillError: a value cannot be read.
        """
        try:
            encoded = self.encoding.encode(rows[list(self.inputs)], self.tokenizer, self.spec)
        except (ValueError, TypeError) as error:
            raise TidemillError(f"the input cannot be read: {error}") from error
        return self.predict_encoded(MemoryShards(encoded)).set_index(rows.index)

    def predict_encoded(self, shards: Shards | MemoryShards) -> pd.DataFrame:
        """Return a prediction for each row of packed shards, in their order."""
        import torch

        parts = []
        with torch.inference_mode():
            for batch in Batches(shards, _rows_at_once(self.spec)):
                stopping.point()
                parts.append(pd.DataFrame(self.prediction.outputs(self.network, batch, self.spec)))
        return pd.concat(parts, ignore_index=True)

    def as_trained(self) -> "Predictor":
        """Return the same model with its logits as training left them: without temperature and thresholds."""
        plain = copy.copy(self)
        plain.spec = Spec(**{name: value for name, value in self.spec.items() if name not in READING})  # type: ignore[typeddict-item]
        return plain

    def explanation(self) -> pd.DataFrame | None:
        """Return the features with the largest weights for each label; None where single weights say nothing, as in an
        ensemble.

        Columns `label`, `kind`, `feature` and `weight`.
        """
        explain = networks.module(self.config["model"]["name"]).explain
        return None if explain is None or "members" in self.spec else explain(self.network, self.tokenizer, self.spec)

    @property
    def predicts_numbers(self) -> bool:
        """Whether a prediction is a number, which has no confidence."""
        return self.encoding.KINDS[0][1] == "number"

    @property
    def streams(self) -> bool:
        """Whether `stream` can yield a prediction piece by piece."""
        return self.prediction.stream is not None

    def stream(self, rows: pd.DataFrame | list[Any], **options: Any) -> Iterator[str]:
        """Yield the prediction for one row, each piece as soon as it is certain.

        Raises:
            TidemillError: as `predict` does, or the task has no predictions in pieces.
        """
        if self.prediction.stream is None:
            raise TidemillError(f"{self.task} predicts all at once: there is nothing to stream")
        [text] = self._normalised(rows)[self.inputs[0]]
        yield from self.prediction.stream(self.network, self._tokenizer, text, self.spec, self.options(options))

    def options(self, values: dict[str, Any]) -> Params | None:
        """Return the options of a request, defaults filled in; None where the task has no options.

        Raises:
            TidemillError: an option is unknown or out of range.
        """
        kind = self.prediction.Options
        if kind is None:
            if values:
                raise TidemillError(f"{self.task} takes no options; there is {next(iter(values))!r}")
            return None
        try:
            return kind.model_validate(values)
        except ValidationError as error:
            detail = error.errors()[0]
            name = ".".join(str(part) for part in detail["loc"])
            known = ", ".join(kind.model_fields)
            raise TidemillError(f"the option {name!r}: {detail['msg']}; there are: {known}") from error

    @property
    def _tokenizer(self) -> Any:
        """The tokenizer, where the task cannot do without one."""
        if self.tokenizer is None:
            raise TidemillError(f"{self.folder / networks.TOKENIZER} is missing: {self.folder} holds no finished model")
        return self.tokenizer

    def _normalised(self, rows: pd.DataFrame | list[Any] | np.ndarray) -> pd.DataFrame:
        if not isinstance(rows, pd.DataFrame):
            rows = pd.DataFrame({self.inputs[0]: list(rows)})
        missing = [name for name in self.inputs if name not in rows]
        if missing:
            raise TidemillError(f"the input has no column {missing[0]!r}; it has: {', '.join(map(str, rows.columns))}")
        try:
            return self.rows.normalise(rows)
        except (ValueError, TypeError) as error:
            raise TidemillError(f"the input cannot be read: {error}") from error


def _rows_at_once(spec: Spec) -> int:
    return max(1, min(BATCH, PIXELS // math.prod(spec["shape"]))) if "shape" in spec else BATCH


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = read_json(folder / networks.CONFIG)
    except (FileNotFoundError, ValueError) as error:
        raise TidemillError(
            f"{folder / networks.CONFIG} is missing or damaged: {folder} holds no finished model"
        ) from error
    return config


def _read_network(folder: Path, config: dict[str, Any]) -> "nn.Module":
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    network = networks.build(networks.params_of(config["model"]), config["spec"])
    try:
        network.load_state_dict(load_file(folder / networks.WEIGHTS))
    except (FileNotFoundError, SafetensorError, RuntimeError) as error:
        raise TidemillError(f"{folder / networks.WEIGHTS} is missing, damaged or of another model: {error}") from error
    return network.eval()


def _read_tokenizer(folder: Path) -> "Tokenizer | NGrams | None":
    path = folder / networks.TOKENIZER
    return saved.read(path) if path.exists() else None
