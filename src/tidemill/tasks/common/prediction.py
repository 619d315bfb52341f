"""Prediction of a task: from the network's logits to what a user gets. Imports torch only when it is called."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tidemill.core import plugins
from tidemill.core.params import Params
from tidemill.core.spec import Spec

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from tokenizers import Tokenizer


class PredictionPart(Protocol):
    """What `tasks/<task>/prediction.py` defines."""

    Options: type[Params] | None
    """What a request may choose, with defaults; None where there is nothing to choose. Goes with `respond`."""
    respond: "Callable[[torch.nn.Module, Tokenizer, pd.DataFrame, Spec, Any], pd.DataFrame] | None"
    """Takes network, tokenizer, normalised rows, spec and `Options`; returns the predictions for a user where these
    are not those of `outputs`: columns `prediction`, `confidence`, `probabilities`. None where they are the same."""
    stream: "Callable[[torch.nn.Module, Tokenizer, str, Spec, Any], Iterator[str]] | None"
    """Takes network, tokenizer, one text, spec and `Options`; yields the prediction piece by piece. None where a
    prediction is not made in pieces."""

    def outputs(
        self, network: "torch.nn.Module", batch: "dict[str, torch.Tensor]", spec: Spec
    ) -> "dict[str, np.ndarray | list[Any]]":
        """Return columns of predictions for a batch, B entries each: `prediction`, `confidence`, `probabilities`, …"""


def of(task: str) -> PredictionPart:
    """Return the prediction part of a task, by the task's name."""
    part: PredictionPart = plugins.load("tasks", task, "prediction")
    return part


def likeliest_labels(logits: "torch.Tensor", spec: Spec) -> dict[str, Any]:
    """Return the label of each row of logits (B, outputs), its probability, and those of all labels.

    It is the likeliest one or, of two labels with a threshold for one of them, that one from there on.
    """
    chances = probabilities(logits / spec.get("temperature", 1.0))
    best = chances.argmax(axis=1)
    for label, threshold in spec.get("thresholds", {}).items():
        place = spec["labels"].index(label)
        best = np.where(chances[:, place] >= threshold, place, 1 - place)
    return {
        "prediction": [spec["labels"][number] for number in best],
        "confidence": chances[np.arange(len(best)), best],
        "probabilities": list(chances),
    }


def probabilities(logits: "torch.Tensor") -> np.ndarray:
    """Return the probability of each label, float64 (B, labels), from logits (B, outputs); a row sums to 1."""
    import torch

    wide = logits.double()
    if wide.shape[1] == 1:
        wide = torch.cat([torch.zeros_like(wide), wide], dim=1)
    chances: np.ndarray = wide.softmax(dim=1).cpu().numpy()
    return chances


def numbers(found: "torch.Tensor", spec: Spec) -> dict[str, Any]:
    """Return the predicted numbers of standardised ones (B, 1); they have no confidence."""
    target = spec["target"]
    values = found[:, 0].double().cpu().numpy() * target["deviation"] + target["mean"]
    return {"prediction": values, "confidence": np.full(len(values), np.nan)}
