"""Optimizers and learning-rate schedules by their params."""

import math
from collections.abc import Callable, Iterable

import torch
from torch.optim.lr_scheduler import LambdaLR

from tidemill.training.params import Schedule, Training


def optimizer(parameters: Iterable[torch.nn.Parameter], params: Training) -> torch.optim.Optimizer:
    """The optimizer over the parameters that are trained."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if params.optimizer == "sgd":
        return torch.optim.SGD(trained, params.lr, params.momentum, weight_decay=params.weight_decay)
    kind = torch.optim.Adam if params.optimizer == "adam" else torch.optim.AdamW
    fused = params.precision != "16"  # a fused one would take the gradients off float16's scale after they are clipped
    return kind(trained, params.lr, weight_decay=params.weight_decay, fused=fused)


def schedule(of: torch.optim.Optimizer, params: Schedule, steps_per_epoch: int, epochs: int) -> LambdaLR:
    """The schedule, advanced once a step."""
    return LambdaLR(of, factor(params, steps_per_epoch, epochs))


def factor(params: Schedule, steps_per_epoch: int, epochs: int) -> Callable[[int], float]:
    """What the learning rate is multiplied by at a step.

    Cosine after Loshchilov and Hutter (2017), without restarts, with a linear warm-up before it.
    """
    total = steps_per_epoch * epochs
    warmup = round(params.warmup * total)

    def cosine(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, total - warmup))
        return params.floor + (1 - params.floor) * (1 + math.cos(math.pi * progress)) / 2

    def decay(step: int) -> float:
        return float(params.decay ** (step // steps_per_epoch))

    return {"fixed": lambda step: 1.0, "decay": decay, "cosine": cosine}[params.name]
