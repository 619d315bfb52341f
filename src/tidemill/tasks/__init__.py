"""What every task answers. One module a task, named as in `params.yaml`; the only room that knows what a task is.

A stage does what is the same for all tasks and asks the task for the rest, in the order of the functions below.
What two tasks share stands in a module whose name starts with an underscore.
"""

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tidemill.config import Expectation, Params, Validate

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch
    from tokenizers import Tokenizer

    from tidemill.tasks._probes import Probing

Metrics = Callable[["np.ndarray"], dict[str, float]]
"""Metrics by name, each row counted `weights[row]` times (0 leaves it out)."""


class Task(Protocol):
    """The names a task's module has. `Spec` is what `tokens.json` holds: all a model must know of its input."""

    INPUTS: tuple[str, ...]
    """Columns of a row's content, beside `id` and `label`."""
    TARGETS: tuple[str, ...]
    """Optional: columns of what is to be answered, where that is not `label` alone."""
    MAIN_METRIC: str
    """The metric a champion is compared by; higher is better."""
    MEANINGS: dict[str, str]
    """What each metric says, for a reader who does not know it."""
    BUCKET: str | None
    """The ragged column by whose length rows share a batch, or None."""
    PACKED: str | None
    """Optional: the ragged column that is trained on end to end, in windows of `spec["length"]` values and one more."""
    Tokenize: type[Params]
    """Params of the tokenize stage."""
    Augment: type[Params]
    """Optional: params of `augment`, as `training.augment`."""
    Behaviour: type[Params]
    """Params of a further change of test rows, as the entries of `evaluate.behaviours`."""
    Options: type[Params]
    """With `respond`: what a request may choose, and what holds where it does not."""

    def normalise(self, rows: "pd.DataFrame") -> "pd.DataFrame":
        """The content in its one form, in training as in service."""

    def clean(self, rows: "pd.DataFrame") -> "pd.DataFrame":
        """Normalise the content; a row that cannot be used gets a sentence in column `reason`."""

    def content(self, rows: "pd.DataFrame") -> "pd.Series[str]":
        """The text or hash that makes two rows the same example: it names the row and decides its split."""

    def group(self, rows: "pd.DataFrame") -> "pd.Series[str]":
        """Optional: the text or hash that rows share which must be in one split, where that is not their content."""

    def near_keys(self, rows: "pd.DataFrame", similarity: float) -> "pd.Series[str]":
        """A key that near copies share; rows without a near copy have one of their own."""

    def expectations(self, params: Validate, tables: "dict[str, pd.DataFrame]") -> list[Expectation]:
        """What must hold for a table of this task, by default."""

    def fit(self, rows: "Iterator[pd.DataFrame]", params: Any) -> "Tokenizer | None":
        """A tokenizer fitted to the training rows; None where the content needs none."""

    def specify(self, rows: "Iterator[pd.DataFrame]", params: Any, tokenizer: "Tokenizer | None") -> dict[str, Any]:
        """The spec, from the training rows: labels, vocabulary size, length, picture shape."""

    def encode(
        self, rows: "pd.DataFrame", tokenizer: "Tokenizer | None", spec: dict[str, Any]
    ) -> "dict[str, np.ndarray | list[np.ndarray]]":
        """Columns of a shard: an array for values of one shape, a list of arrays for ragged ones."""

    def augment(self, batch: "dict[str, torch.Tensor]", params: Any) -> "dict[str, torch.Tensor]":
        """Optional: a training batch, changed by chance as far as the params allow."""

    def features(self, base: "torch.nn.Module", batch: "dict[str, torch.Tensor]") -> "torch.Tensor":
        """Optional: what a network's base makes of a batch, a row an example; `step` then takes a batch with a column
        `features` for the network's head alone."""

    def step(
        self, network: "torch.nn.Module", batch: "dict[str, torch.Tensor]", label_smoothing: float
    ) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
        """The loss of a batch (mean over its examples), and further figures by name, e.g. accuracy."""

    def outputs(
        self, network: "torch.nn.Module", batch: "dict[str, torch.Tensor]", spec: dict[str, Any]
    ) -> "dict[str, np.ndarray]":
        """What the network answers for a batch, an entry an example: prediction, confidence, probabilities."""

    def respond(
        self,
        network: "torch.nn.Module",
        tokenizer: "Tokenizer | None",
        rows: "pd.DataFrame",
        spec: dict[str, Any],
        options: Any,
    ) -> "pd.DataFrame":
        """Optional: what a user gets for rows, where that is not `outputs`: prediction, confidence, probabilities."""

    def stream(
        self, network: "torch.nn.Module", tokenizer: "Tokenizer | None", text: str, spec: dict[str, Any], options: Any
    ) -> "Iterator[str]":
        """Optional, with `respond`: the prediction for one text, piece by piece as it is made."""

    def score(self, predictions: "pd.DataFrame", spec: dict[str, Any]) -> "pd.DataFrame":
        """The predictions with figures of each row, among them its `loss`: the higher, the worse it went."""

    def metrics(self, predictions: "pd.DataFrame", spec: dict[str, Any]) -> "Metrics":
        """The metrics of a table of predictions, to be asked for once for each bootstrap resample.

        `name/class` (`recall/7`) is the metric of one class; a metric that is not defined is NaN.
        """

    def plots(self, predictions: "pd.DataFrame", spec: dict[str, Any]) -> "dict[str, pd.DataFrame]":
        """Tables to plot, by name: each becomes `plots/<name>.svg` and a figure of the report."""

    def baselines(self, train: "pd.DataFrame", test: "pd.DataFrame", spec: dict[str, Any]) -> "dict[str, pd.DataFrame]":
        """Predictions for the test rows of a trivial and of a linear model, by their names."""


def targets(task: Task) -> list[str]:
    """Columns of what is to be answered."""
    return list(getattr(task, "TARGETS", ("label",)))


def load(name: str) -> Task:
    """The task of that name, as checked by `config`."""
    return importlib.import_module(f"tidemill.tasks.{name}")


def probing(name: str, spec: dict[str, Any], own: Sequence[Any]) -> "Probing":
    """What is asked of a model beyond the test set: by the task's module `behaviour`, and by the params.

    Raises:
        TidemillError: the params name a label or column that is not there.
    """
    probes: Probing = importlib.import_module(f"tidemill.tasks.{name}.behaviour").probing(spec, own)
    return probes
