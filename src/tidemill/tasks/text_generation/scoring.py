"""Scoring: how well a model predicts texts, of conversations their responses. A continuation is neither right nor wrong, so rows have no `correct`."""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tidemill.core.intervals import Metrics
from tidemill.core.meaning import Meaning
from tidemill.core.spec import Spec
from tidemill.tasks.common import scoring as common

MAIN_METRIC = "compression"
MEANINGS = {
    "compression": Meaning(
        "8 bits over the bits per byte: how many times smaller the texts become, coded by the model's probabilities"
    ),
    "bits_per_byte": Meaning(
        "bits it takes to code a byte of text by the model's probabilities; 0 is best", higher_is_better=False
    ),
    "perplexity": Meaning(
        "number of equally likely tokens that the model is as uncertain about; 1 is best, and it depends on the "
        "tokenizer",
        higher_is_better=False,
    ),
}

is_same = common.equal


def score(predictions: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    """Return the predictions with the `loss` of each text: bits per byte."""
    return predictions.assign(loss=predictions["nll"] / predictions["bytes"] / math.log(2))


def metrics(predictions: pd.DataFrame, spec: Spec) -> Metrics:
    """Return compression, bits per byte and, where tokens were counted, perplexity, of all texts as one."""
    sums = predictions[["nll", "bytes", "tokens"]].to_numpy(dtype=np.float64)

    def weighted(weights: NDArray[np.int64]) -> dict[str, float]:
        nll, size, tokens = weights @ sums
        bits = nll / math.log(2) / size
        return {"compression": 8 / bits, "bits_per_byte": bits, "perplexity": math.exp(nll / tokens)}

    return weighted


def plots(predictions: pd.DataFrame, spec: Spec) -> dict[str, pd.DataFrame]:
    """Return `surprise`: bytes and bits per byte, a row a text."""
    return {"surprise": pd.DataFrame({"bytes": predictions["bytes"], "bits_per_byte": predictions["loss"]})}
