"""Prediction: the likeliest label of a row."""

from typing import TYPE_CHECKING, Any

from tidemill.core.spec import Spec
from tidemill.tasks.common import prediction as common
from tidemill.tokens.columns import column_inputs

if TYPE_CHECKING:
    import torch

Options = None
respond = None
stream = None


def outputs(network: "torch.nn.Module", batch: dict[str, "torch.Tensor"], spec: Spec) -> dict[str, Any]:
    """Return the likeliest label of each row, its probability, and those of all labels."""
    return common.likeliest_labels(network(*column_inputs(batch)), spec)
