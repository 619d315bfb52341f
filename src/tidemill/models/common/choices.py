"""The names of activations and initialisations, for params: nothing heavy is imported here."""

from typing import Literal

Activation = Literal["relu", "gelu", "tanh", "sigmoid"]
Loss = Literal["squared", "absolute", "huber"]
"""Of a number: its squared error, its absolute one, or that of Huber (1964), squared up to `HUBER` and absolute beyond."""
DEFAULT_LOSS: Loss = "squared"
HUBER = 1.0
"""Standard deviations of the target."""
Initialisation = Literal["default", "xavier", "kaiming", "normal"]
"""`default` is torch's own, uniform by the number of inputs; `xavier` uniform (Glorot and Bengio, 2010), `kaiming` normal
(He et al., 2015), and `normal` with a standard deviation of 0.01."""
