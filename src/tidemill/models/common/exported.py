"""Networks of another library, whose folder that library loads as well."""

from abc import abstractmethod
from pathlib import Path
from typing import Any

from torch import nn


class Exported(nn.Module):
    """A network that writes its own folder, since another library is to read it, too."""

    @abstractmethod
    def save(self, folder: Path, config: dict[str, Any]) -> None:
        """Write the weights, `config.json` and what else the library needs.

        Args:
            folder: holds the tokenizer, where there is one, and nothing else.
            config: what `config.json` must have, beside what the library needs there.
        """
