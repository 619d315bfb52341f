"""Training with differential privacy: what the weights tell of any one row is bounded, and the bound is a number.

DP-SGD (Abadi et al., Deep Learning with Differential Privacy, 2016): each step draws every row by the same chance, clips
the gradient of each row drawn, and adds noise to their sum. Opacus does all three and accounts for what is spent.
"""

from functools import partial
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from torch import nn

from tidemill.core.errors import TidemillError
from tidemill.tokens.batches import Batches
from tidemill.training.params import Privacy

ACCOUNTANT = "prv"
"""Gopi et al., Numerical Composition of Differential Privacy, 2021: the least ε that can be shown, within 0.01."""


class PoissonBatches(Batches):
    """Batches that each row is in by the same chance, whatever the others are: `size` rows on average.

    The accountant counts on such draws: batches that divide a shuffled epoch, or share a length, hide less.
    """

    @property
    def rate(self) -> float:
        """The chance of a row to be in a batch."""
        return min(1.0, self.size / len(self.shards))

    def plan(self) -> list[np.ndarray]:
        """Return the row numbers of each batch of the current epoch."""
        generator = np.random.default_rng([self.seed, self.epoch])
        return [np.flatnonzero(generator.random(len(self.shards)) < self.rate) for _ in range(len(self))]


class Private(lightning.Callback):
    """Makes the steps of a training private, and keeps account of what they spend.

    The account is in the checkpoint: a resumed training has spent what one that was never interrupted has. Noise comes
    from torch's generator, whose state is there as well.

    Raises:
        TidemillError: the δ is too large for so many rows, or rows cannot be told apart in the gradients of the network.
    """

    def __init__(self, network: nn.Module, params: Privacy, train: PoissonBatches, epochs: int) -> None:
        from opacus.accountants import PRVAccountant

        if params.delta >= 1 / len(train.shards):
            raise TidemillError(
                f"training.privacy.delta: {params.delta:g} is no privacy for {len(train.shards)} training rows: "
                f"it must be below {1 / len(train.shards):.1g}, one over their number"
            )
        self.params, self.rate, self.size = params, train.rate, train.size
        self.noise = _noise(params, train.rate, epochs * len(train))
        self.account = PRVAccountant()
        self.hooks = _per_row_gradients(network)

    def optimizer(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """Return the optimizer with clipped gradients of each row, and noise."""
        from opacus.optimizers import DPOptimizer

        private: Any = DPOptimizer(
            optimizer,
            noise_multiplier=self.noise,
            max_grad_norm=self.params.clip,
            expected_batch_size=self.size,
        )
        private.attach_step_hook(self.account.get_optimizer_hook_fn(self.rate))
        wrapped: torch.optim.Optimizer = private
        return wrapped

    def on_fit_end(self, trainer: Any, learner: Any) -> None:
        """Leave the network as it was."""
        self.hooks.remove_hooks()

    @property
    def spent(self) -> dict[str, Any]:
        """What was spent, and by what steps."""
        return {
            "epsilon": round(float(self.account.get_epsilon(self.params.delta)), 4),
            "delta": self.params.delta,
            "noise": self.noise,
            "clip": self.params.clip,
            "sample_rate": self.rate,
            "steps": sum(steps for *_, steps in self.account.history),
            "accountant": ACCOUNTANT,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the account as plain values."""
        return {"history": [tuple(entry) for entry in self.account.history]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume the account."""
        self.account.history = [tuple(entry) for entry in state["history"]]


def _noise(params: Privacy, rate: float, steps: int) -> float:
    """Return the standard deviation of the noise, in units of the clipped norm: the given one, or the least for the ε."""
    from opacus.accountants.utils import get_noise_multiplier

    if params.noise is not None:
        return params.noise
    assert params.epsilon is not None, "params have one of the two"
    try:
        found = get_noise_multiplier(
            target_epsilon=params.epsilon,
            target_delta=params.delta,
            sample_rate=rate,
            steps=steps,
            accountant=ACCOUNTANT,
        )
    except ValueError as error:
        raise TidemillError(
            f"training.privacy.epsilon: no noise reaches {params.epsilon:g} in {steps} steps of {rate:.2g} of the rows: "
            "take fewer epochs, or a larger epsilon"
        ) from error
    return float(found)


def _per_row_gradients(network: nn.Module) -> Any:
    """Let the network keep the gradient of each row in a backward pass; return what ends that.

    Raises:
        TidemillError: a layer mixes the rows of a batch, or keeps a state of them.
    """
    from opacus.grad_sample import GradSampleHooks

    _replace_lstms(network)
    try:
        return GradSampleHooks(network, batch_first=True, loss_reduction="mean")
    except NotImplementedError as error:
        raise TidemillError(
            f"training.privacy: a layer of the network is not of one row at a time: {' '.join(str(error).split())}"
        ) from error


def _replace_lstms(network: nn.Module) -> None:
    """Put Opacus' LSTM in the place of each of torch's, which keeps no gradients of rows; the weights keep their names.

    Opacus names each weight twice. The second names appear in no state of the network.
    """
    from opacus.layers import DPLSTM

    names: dict[str, str] = {}
    for path, layer in list(network.named_modules()):
        if type(layer) is nn.LSTM:
            ours = DPLSTM(layer.input_size, layer.hidden_size, layer.num_layers, batch_first=layer.batch_first)
            ours.load_state_dict(layer.state_dict())
            network.set_submodule(path, ours)
            names |= {f"{path}.{second}": f"{path}.{first}" for second, first in ours.old_to_new.items()}
    hooked: Any = network  # torch gives the two methods no types
    hooked.register_state_dict_post_hook(partial(_without_second_names, names))
    hooked.register_load_state_dict_pre_hook(partial(_with_second_names, names))


def _without_second_names(
    names: dict[str, str], network: nn.Module, state: dict[str, torch.Tensor], prefix: str, *_: Any
) -> None:
    for second in names:
        del state[prefix + second]


def _with_second_names(
    names: dict[str, str], network: nn.Module, state: dict[str, torch.Tensor], prefix: str, *_: Any
) -> None:
    state.update({prefix + second: state[prefix + first] for second, first in names.items()})
