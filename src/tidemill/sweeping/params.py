"""Params of a sweep; no stage reads them."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tidemill.core.params import Params

Number = int | float


class Axis(Params):
    """What a sweep may do with one param: a range, or a list of choices."""

    low: Number | None = None
    """Lowest value of a range."""
    high: Number | None = None
    """Highest value of a range."""
    log: bool = False
    """Whether the range is even in its logarithm."""
    step: Number | None = None
    """Distance of two values of a range; null takes any value in it."""
    points: Annotated[int, Field(ge=2)] = 3
    """Values that the grid takes of a range without a step."""
    choices: list[Any] | None = Field(default=None, min_length=1)
    """The values to choose from."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Axis":
        if (self.choices is None) == (self.low is None or self.high is None):
            raise ValueError("give either low and high, or choices")
        low, high = self.low, self.high
        if low is not None and high is not None and (low >= high or (self.log and low <= 0)):
            raise ValueError("low must be below high, and above 0 where log is set")
        return self


class Sweep(Params):
    """How better params are searched."""

    space: dict[str, Axis] = Field(min_length=1)
    """By the path inside the system: `training.lr`, `model.hidden`. Trials share what stands before the training."""
    sampler: str = "tpe"
    """How the next setting is chosen: a module of `tidemill/sweeping/samplers/`."""
    trials: Annotated[int, Field(ge=1)] = 20
    """Settings that are tried."""
    metric: str = "val/loss"
    """A metric of the validation rows; the test rows decide nothing here."""
    direction: Literal["minimize", "maximize"] = "minimize"
    """Whether a lower or a higher value of the metric is better."""
    population: Annotated[int, Field(ge=2)] = 8
    """Settings of a generation (genetic), particles (swarm)."""
    prune: bool = True
    """Whether a trial ends that is worse than the median of the others at the same epoch."""
    seed: int = 0
    """Of the sampler's draws."""
