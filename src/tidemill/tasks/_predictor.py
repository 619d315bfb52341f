"""A trained model as one object: raw rows in, answers out, by the very way of its training."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from tidemill import models, tasks
from tidemill.config import Params
from tidemill.errors import TidemillError
from tidemill.files import read_json
from tidemill.models import CONFIG, TOKENIZER, WEIGHTS
from tidemill.tokens.batches import Batches
from tidemill.tokens.shards import MemoryShards, Shards

if TYPE_CHECKING:
    from torch import nn

BATCH = 256


class Predictor:
    """The model of a folder with `model.safetensors`, `config.json` and, for text, `tokenizer.json`."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.config = _read_config(self.folder)
        self.spec: dict[str, Any] = self.config["spec"]
        self.task = tasks.load(self.config["task"])
        self.network = _read_network(self.folder, self.config)
        self.tokenizer = _read_tokenizer(self.folder)

    def predict(self, rows: pd.DataFrame | list[Any] | np.ndarray, **options: Any) -> pd.DataFrame:
        """An answer a row; the index is that of the rows.

        Args:
            rows: A frame with the task's input columns, or, where there is one such column, a list or array of its
                values: texts, encoded pictures, or pixels.
            options: Those of the task's `Options`, e.g. `temperature=0.7`.

        Raises:
            TidemillError: a column is missing, a value cannot be read, or there is no such option.
        """
        table, chosen = self._tabled(rows), self.chosen(options)
        if table.empty:
            return pd.DataFrame({"prediction": [], "confidence": [], "probabilities": []})
        if chosen is None:
            return self.examine(table)
        return self.task.respond(self.network, self.tokenizer, table, self.spec, chosen).set_index(table.index)

    @property
    def streams(self) -> bool:
        """Whether an answer can be had piece by piece."""
        return hasattr(self.task, "stream")

    def stream(self, rows: pd.DataFrame | list[Any], **options: Any) -> Iterator[str]:
        """The prediction for one row, each piece as soon as it is certain.

        Raises:
            TidemillError: as `predict` does.
        """
        [text] = self._tabled(rows)[self.task.INPUTS[0]]
        yield from self.task.stream(self.network, self.tokenizer, text, self.spec, self.chosen(options))

    def chosen(self, options: dict[str, Any]) -> Params | None:
        """The options of a request with the defaults of the others; None where the task has no options.

        Raises:
            TidemillError: an option is unknown or out of range.
        """
        kind: type[Params] | None = getattr(self.task, "Options", None)
        if kind is None and options:
            raise TidemillError(f"{self.config['task']} takes no options; there is {next(iter(options))!r}")
        try:
            return None if kind is None else kind.model_validate(options)
        except ValidationError as error:
            detail = error.errors()[0]
            name = ".".join(str(part) for part in detail["loc"])
            known = ", ".join(kind.model_fields) if kind else ""
            raise TidemillError(f"the option {name!r}: {detail['msg']}; there are: {known}") from error

    def examine(self, table: pd.DataFrame) -> pd.DataFrame:
        """What is measured of rows in their normal form: as `answer` has it of the same rows in packed shards."""
        try:
            encoded = self.task.encode(table[list(self.task.INPUTS)], self.tokenizer, self.spec)
        except (ValueError, TypeError) as error:
            raise TidemillError(f"the input cannot be read: {error}") from error
        return self.answer(MemoryShards(encoded)).set_index(table.index)

    def answer(self, shards: "Shards | MemoryShards") -> pd.DataFrame:
        """An answer for each row of packed shards, in their order."""
        import torch

        with torch.inference_mode():
            batches = Batches(shards, BATCH)
            parts = [pd.DataFrame(self.task.outputs(self.network, batch, self.spec)) for batch in batches]
        return pd.concat(parts, ignore_index=True)

    def _tabled(self, rows: pd.DataFrame | list[Any] | np.ndarray) -> pd.DataFrame:
        if not isinstance(rows, pd.DataFrame):
            rows = pd.DataFrame({self.task.INPUTS[0]: list(rows)})
        missing = [name for name in self.task.INPUTS if name not in rows]
        if missing:
            raise TidemillError(f"the input has no column {missing[0]!r}; it has: {', '.join(map(str, rows.columns))}")
        return self.task.normalise(rows)


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = read_json(folder / CONFIG)
    except (FileNotFoundError, ValueError) as error:
        raise TidemillError(f"{folder / CONFIG} is missing or damaged: {folder} holds no finished model") from error
    return config


def _read_network(folder: Path, config: dict[str, Any]) -> "nn.Module":
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    network = models.build(models.params_of(config["model"]), config["spec"])
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (FileNotFoundError, SafetensorError, RuntimeError) as error:
        raise TidemillError(f"{folder / WEIGHTS} is missing, damaged or of another model: {error}") from error
    return network.eval()


def _read_tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / TOKENIZER)) if (folder / TOKENIZER).exists() else None
