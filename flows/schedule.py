"""Which stages may start now: what they need has ended well, a job is free, and their limits have room."""

from graphlib import TopologicalSorter

from flows.graph import Plan


class Schedule:
    """Hands out the stages of a plan, `jobs` at a time, under named limits (`{"gpu": 1}`).

    A limit that nobody set holds nothing back. After a failure nothing more starts, or with `keep_going` all that
    does not depend on what failed.
    """

    def __init__(self, plan: Plan, jobs: int, limits: dict[str, int], keep_going: bool = False) -> None:
        self._plan = plan
        self._order = {address: position for position, address in enumerate(plan)}
        self._sorter = TopologicalSorter({address: stage.needs for address, stage in plan.items()})
        self._sorter.prepare()
        self._ready: list[str] = []
        self._running: set[str] = set()
        self._free = jobs
        self._room = dict(limits)
        self._keep_going = keep_going
        self._halted = False

    @property
    def running(self) -> frozenset[str]:
        """Addresses handed out and not yet ended."""
        return frozenset(self._running)

    def start(self) -> list[str]:
        """Hand out the stages that may start now, in the plan's order."""
        self._ready = sorted([*self._ready, *self._sorter.get_ready()], key=self._order.__getitem__)
        return [] if self._halted else [address for address in tuple(self._ready) if self._claim(address)]

    def end(self, address: str, succeeded: bool) -> None:
        """Take a stage back: what it held is free again and, if it succeeded, what waited for it may go on."""
        self._running.remove(address)
        self._give(address, 1)
        if succeeded:
            self._sorter.done(address)
        elif not self._keep_going:
            self._halted = True

    def _claim(self, address: str) -> bool:
        wanted = [limit for limit in self._plan[address].limits if limit in self._room]
        if not self._free or any(self._room[limit] < 1 for limit in wanted):
            return False
        self._ready.remove(address)
        self._running.add(address)
        self._give(address, -1)
        return True

    def _give(self, address: str, count: int) -> None:
        self._free += count
        for limit in self._plan[address].limits:
            if limit in self._room:
                self._room[limit] += count
