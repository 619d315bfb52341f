"""Solving for the weights by liblinear, and scaling the scores so that they are the logits of calibrated probabilities.

Fan et al., LIBLINEAR: A Library for Large Linear Classification, 2008. All problems with an l2 penalty are solved in their
dual form, by coordinate descent: it needs no matrix library, so threads cannot change the last bits of a weight.
"""

import math
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from tidemill.core.errors import TidemillError
from tidemill.models.common.calibration import calibrated
from tidemill.models.common.choices import Loss
from tidemill.models.linear import Params
from tidemill.tokens.shards import MemoryShards, Shards

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from tidemill.models.linear.network import Linear

STEPS = 1000
"""Passes over the rows at most."""
SMOOTHING = 0.1
"""Added to the sum of an n-gram's weights over the texts of a label: little, since the weights are small themselves."""
REGRESSION = {"squared": "squared_epsilon_insensitive", "absolute": "epsilon_insensitive"}
"""What scikit-learn calls the losses of a number."""
Floats = NDArray[np.float64]
Rows = Shards | MemoryShards


def solve(
    network: "Linear", train: Rows, valid: Rows, params: Params, loss: Loss, seed: int
) -> Iterator[dict[str, float]]:
    """Put the weights for each strength into the network, one strength after another.

    Args:
        loss: of a number; that of labels is one of the model's params.

    Yields:
        The strength, and the factor by which the scores were scaled to fit the validation rows (the inverse of the
        temperature of Guo et al., 2017), which leaves every prediction as it is; of numbers, the strength alone.

    Raises:
        TidemillError: the loss is one that no solver has.
    """
    if "target" in train.columns:
        yield from _solve_for_numbers(network, train, params, loss, seed)
        return
    vocabulary, outputs = network.weight.shape
    (features, held_out), (labels, known) = map(network.matrix, (train, valid)), map(_labels, (train, valid))
    scaled = _Scaled(features) if params.naive_bayes else None
    for strength in params.strengths:
        weights, bias = np.zeros((vocabulary, outputs), np.float32), np.zeros(outputs)
        for output in range(outputs):
            belongs = _belongs(labels, output, outputs)
            weights[:, output], bias[output] = _fit(features, scaled, belongs, params, strength, seed)
        scale = calibrated(held_out @ weights + bias, known)
        _put(network, weights * np.float32(scale), bias * scale)
        yield {"strength": strength, "scale": scale}


def _solve_for_numbers(
    network: "Linear", train: Rows, params: Params, loss: Loss, seed: int
) -> Iterator[dict[str, float]]:
    """Solve by support vector regression without a margin: with squared errors, that is ridge regression."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVR

    if loss not in REGRESSION:
        raise TidemillError(f"training.loss: the model linear has no loss {loss}; it has: {', '.join(REGRESSION)}")
    features, target = network.matrix(train), np.asarray(train.columns["target"], np.float64)
    for strength in params.strengths:
        model = LinearSVR(
            loss=REGRESSION[loss], C=strength, epsilon=0, dual=True, random_state=seed, max_iter=STEPS, tol=1e-5
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features, target)
        _put(network, model.coef_[:, None].astype(np.float32), np.atleast_1d(model.intercept_))
        yield {"strength": strength}


def _put(network: "Linear", weights: NDArray[np.float32], bias: Floats) -> None:
    with torch.no_grad():
        network.weight.copy_(torch.from_numpy(weights))
        network.bias.copy_(torch.from_numpy(bias))


class _Scaled:
    """Features scaled for one label against the rest by the ratios of naive Bayes."""

    def __init__(self, features: "csr_matrix") -> None:
        self.features, self.total = features, _sums(features, np.ones(features.shape[0]))

    def by(self, belongs: NDArray[np.bool_]) -> "tuple[csr_matrix, Floats]":
        """Return the scaled features, and the factor of each n-gram (V,)."""
        own = _sums(self.features, belongs.astype(np.float64)) + SMOOTHING
        other = self.total - own + 2 * SMOOTHING
        ratios = np.log(own / own.sum()) - np.log(other / other.sum())
        scaled = self.features.copy()
        scaled.data *= ratios[scaled.indices]
        return scaled, ratios


def _sums(features: "csr_matrix", rows: Floats) -> Floats:
    sums: Floats = features.T @ rows
    return sums


def _labels(shards: Rows) -> NDArray[Any]:
    """Return labels (B,) or (B, labels)."""
    labels = shards.columns["labels"]
    assert isinstance(labels, np.ndarray)
    return labels


def _belongs(labels: NDArray[Any], output: int, outputs: int) -> NDArray[np.bool_]:
    """Return which rows an output should be positive for; a single output stands for the second of two labels."""
    belongs: NDArray[np.bool_] = labels[:, output] > 0 if labels.ndim == 2 else labels == (output if outputs > 1 else 1)
    return belongs


def _fit(
    features: "csr_matrix",
    scaled: _Scaled | None,
    belongs: NDArray[np.bool_],
    params: Params,
    strength: float,
    seed: int,
) -> tuple[Floats, float]:
    """Return the weights (V,) and the bias of one output; of an output that is the same for all rows, the bias alone."""
    from sklearn.exceptions import ConvergenceWarning

    rows = len(belongs)
    if belongs.all() or not belongs.any():
        return np.zeros(features.shape[1]), math.log((belongs.sum() + 0.5) / (rows - belongs.sum() + 0.5))
    features, ratios = scaled.by(belongs) if scaled else (features, np.ones(features.shape[1]))
    model = _model(params, strength, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits of the loss are not worth the wait
        model.fit(features, belongs)
    return model.coef_[0] * ratios, float(model.intercept_[0])


def _model(params: Params, strength: float, seed: int) -> Any:
    """Return scikit-learn's model, which solves by liblinear."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    dual, common = params.penalty == "l2", {"C": strength, "random_state": seed, "max_iter": STEPS}
    if params.loss == "logistic":
        return LogisticRegression(solver="liblinear", l1_ratio=float(not dual), dual=dual, **common)
    return LinearSVC(loss=params.loss, penalty=params.penalty, dual=dual, **common)
