"""A version by its address, loaded; where an alias moves, the version that it then names."""

from collections.abc import Callable

from tidemill.core.errors import TidemillError
from tidemill.registry import champion
from tidemill.serving.loading import Loaded, load

Log = Callable[[str], None]


class FollowedAlias:
    """What an address names, as of the last update."""

    def __init__(self, address: str, log: Log) -> None:
        self.address = address
        self.loaded: Loaded | None = None
        self._log, self._trouble, self._told = log, "", ""

    def update(self) -> None:
        """Load what the address names now, and log it if it is new.

        Raises:
            TidemillError: there is none, or it is not what was registered. What was loaded before stays.
        """
        found = champion.resolve(self.address, self._tell)
        if self.loaded is None or self.loaded.name != f"{found.name}/{found.version}":
            self.loaded = load(self.address, self._tell)
            self._log(f"{self.address} is {self.loaded.name}")
        self._trouble = ""

    def try_update(self) -> None:
        """Update; where that fails, log the reason once and keep what is loaded."""
        try:
            self.update()
        except TidemillError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._log(f"{self.loaded.name if self.loaded else 'nothing'} stands for {self.address}: {error}")

    def _tell(self, line: str) -> None:
        """Log once that the alias is not where it was put by decision."""
        if line != self._told:
            self._told = line
            self._log(line)
