"""Networks that read the columns of a table, as values of one kind."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from tidemill.tokens.columns import Column, category_values, missing_numbers, number_names


class Expanded(nn.Module):
    """Columns as features: numbers, 0 where one is missing; which of them are missing; and a 1 for each category."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__()
        categories = category_values(columns)
        self.incomplete = missing_numbers(columns)
        self.sizes = [len(values) for values in categories]
        numbers = number_names(columns)
        self.names = [
            *numbers,
            *(f"{numbers[place]} is missing" for place in self.incomplete),
            *(value for values in categories for value in values),
        ]

    def forward(self, numbers: torch.Tensor, categories: torch.Tensor) -> torch.Tensor:
        """Return features (B, F) of numbers (B, N) and codes of categories (B, C)."""
        ones = [functional.one_hot(categories[:, place], size) for place, size in enumerate(self.sizes)]
        missing = numbers[:, self.incomplete].isnan()
        parts = [numbers.nan_to_num(nan=0.0), missing.float(), *(one.float() for one in ones)]
        return torch.cat(parts, dim=1)


class OfColumns(nn.Module):
    """A network of features (B, F), given the columns that they are made of."""

    def __init__(self, columns: Sequence[Column], network: nn.Module) -> None:
        super().__init__()
        self.expanded, self.network = Expanded(columns), network

    def forward(self, numbers: torch.Tensor, categories: torch.Tensor) -> torch.Tensor:
        """Return what the network returns for the features."""
        found: torch.Tensor = self.network(self.expanded(numbers, categories))
        return found
