"""The trees as a torch module: LightGBM's own text, byte by byte, is its one weight."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from tidemill.core.spec import Spec
from tidemill.models.boosting import Params, solver
from tidemill.tokens.columns import number_names

if TYPE_CHECKING:
    from lightgbm import Booster

PRETRAINED_FILES = ()
load_pretrained = None
SHOWN = 30
"""Columns that are explained."""

solve = solver.solve


def build(params: Params, spec: Spec) -> "Trees":
    """Return a network from numbers (B, N) and categories (B, C) to logits (B, outputs); it has no trees yet."""
    return Trees(spec["outputs"])


def explain(network: nn.Module, tokenizer: Any, spec: Spec) -> pd.DataFrame:
    """Return each column's share of the loss that the trees have taken from the training rows, as `weight`."""
    assert isinstance(network, Trees)
    names = [*number_names(spec["columns"]), *(c["name"] for c in spec["columns"] if c["kind"] == "category")]
    gain = network.booster.feature_importance("gain")
    order = [place for place in np.argsort(-gain, kind="stable")[:SHOWN] if gain[place]]
    rows = [("all predictions", "gain", names[place], float(gain[place] / gain.sum())) for place in order]
    return pd.DataFrame(rows, columns=["label", "kind", "feature", "weight"])


class Trees(nn.Module):
    """Trees that LightGBM has grown."""

    text: torch.Tensor

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.register_buffer("text", torch.zeros(0, dtype=torch.uint8))

    def forward(self, numbers: torch.Tensor, categories: torch.Tensor) -> torch.Tensor:
        """Return logits (B, outputs)."""
        scores = self.booster.predict(table(numbers.numpy(), categories.numpy()), raw_score=True, num_threads=1)
        return torch.from_numpy(np.asarray(scores, np.float32).reshape(-1, self.outputs))

    def put(self, booster: "Booster", trees: int) -> None:
        """Take the first trees of each output of a booster."""
        self._hold(
            torch.frombuffer(bytearray(booster.model_to_string(num_iteration=trees).encode()), dtype=torch.uint8)
        )

    @cached_property
    def booster(self) -> "Booster":
        """The library's own object."""
        from lightgbm import Booster

        return Booster(model_str=self.text.numpy().tobytes().decode())

    def _hold(self, text: torch.Tensor) -> None:
        self.text = text
        self.__dict__.pop("booster", None)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take a text of any length, where torch expects the one that is here."""
        if (text := state.get(f"{prefix}text")) is not None:
            self._hold(text.clone())
        super()._load_from_state_dict(state, prefix, *rest)


def table(numbers: NDArray[Any], categories: NDArray[Any]) -> NDArray[np.float64]:
    """Return numbers (B, N) and codes (B, C) side by side."""
    return np.concatenate([numbers.astype(np.float64), categories.astype(np.float64)], axis=1)
