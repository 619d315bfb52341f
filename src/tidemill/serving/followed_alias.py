"""A version by its address, loaded; where an alias moves, the version that it then names."""

from tidemill.registry import champion
from tidemill.serving.loading import Loaded, load
from tidemill.serving.troubles import Log, Troubles


class FollowedAlias:
    """What an address names, as of the last update."""

    def __init__(self, address: str, log: Log) -> None:
        self.address = address
        self.loaded: Loaded | None = None
        self._log, self._told = log, ""

    def update(self) -> None:
        """Load what the address names now, and log it if it is new.

        Raises:
            TidemillError: there is none, or it is not what was registered. What was loaded before stays.
        """
        found = champion.resolve(self.address, self._tell)
        if self.loaded is None or self.loaded.name != f"{found.name}/{found.version}":
            self.loaded = load(self.address, self._tell)
            self._log(f"{self.address} is {self.loaded.name}")

    def try_update(self, troubles: Troubles) -> None:
        """Update; where that fails, whatever the reason, keep what is loaded until the next time."""
        with troubles.caught(f"{self.address} is not followed"):
            self.update()

    def _tell(self, line: str) -> None:
        """Log once that the alias is not where it was put by decision."""
        if line != self._told:
            self._told = line
            self._log(line)
