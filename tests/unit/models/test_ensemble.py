"""The logits of an ensemble are those of the mean of its members' probabilities, by numpy."""

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from torch import nn

from tidemill.models.common.ensemble import Ensemble


class Fixed(nn.Module):
    """A network that gives the same logits whatever it reads."""

    def __init__(self, logits: np.ndarray) -> None:
        super().__init__()
        self.logits = torch.from_numpy(logits)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.logits


@pytest.mark.parametrize(("outputs", "several"), [(4, False), (1, False), (4, True)])
def test_it_is_the_mean_of_probabilities(outputs: int, several: bool) -> None:
    logits = np.random.default_rng(0).normal(0, 4, (3, 20, outputs))
    logits[0, 0] = 300  # as sure as a float can be
    found = Ensemble([Fixed(one) for one in logits], several)(torch.zeros(20)).numpy()
    read = expit if several or outputs == 1 else lambda values: softmax(values, axis=-1)
    np.testing.assert_allclose(read(found), read(logits).mean(axis=0), atol=1e-12)
    assert np.isfinite(found).all()
