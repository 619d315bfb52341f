"""A version by its address, loaded: where an alias moves, the version that it then names."""

from collections.abc import Callable

from tidemill.errors import TidemillError
from tidemill.registry import versions
from tidemill.serving.loading import Loaded, load

Tell = Callable[[str], None]


class Followed:
    """What an address names, as of the last look."""

    def __init__(self, address: str, tell: Tell) -> None:
        self.address = address
        self.loaded: Loaded | None = None
        self._tell, self._trouble = tell, ""

    def look(self) -> None:
        """Load what the address names now, and tell of it if it is new.

        Raises:
            TidemillError: there is none, or it is not what was registered. What was loaded before stays.
        """
        found = versions.find(self.address)
        if self.loaded is None or self.loaded.name != f"{found.name}/{found.version}":
            self.loaded = load(self.address)
            self._tell(f"{self.address} is {self.loaded.name}")
        self._trouble = ""

    def look_again(self) -> None:
        """Look; where that fails, tell why, once, and go on with what there is."""
        try:
            self.look()
        except TidemillError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._tell(f"{self.loaded.name if self.loaded else 'nothing'} stands for {self.address}: {error}")
