"""Which stages may start now, and which of them first.

The first result comes early and the whole ends early: one job goes into the chain of stages that can be finished
soonest until it is finished, and every other job takes the stage with the longest work still behind it.
"""

from bisect import insort
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter

from flows.graph import Plan


class Schedule:
    """Hands out the stages of a plan, `jobs` at a time, under named limits (`{"gpu": 1}`).

    `seconds` are the durations to expect, by address; without them each stage counts as one. A limit that nobody set
    holds nothing back. After a failure nothing more starts, or with `keep_going` all that does not depend on what
    failed.
    """

    def __init__(
        self,
        plan: Plan,
        jobs: int,
        limits: Mapping[str, int],
        keep_going: bool = False,
        seconds: Mapping[str, float] | None = None,
    ) -> None:
        self._plan = plan
        self._seconds = seconds or dict.fromkeys(plan, 1.0)
        self._followers = _followers(plan)
        self._waits_for = {address: {*stage.needs, *stage.after} for address, stage in plan.items()}
        self._rank = _longest_first(plan, self._seconds, self._followers)
        self._ready: list[str] = []
        self._running: set[str] = set()
        self._ended: set[str] = set()
        self._free = jobs
        self._room = dict(limits)
        self._keep_going = keep_going
        self._halted = False
        self._first = _soonest_chain(plan, self._seconds)
        for address in plan:
            self._add_if_ready(address)

    @property
    def running(self) -> frozenset[str]:
        """Addresses handed out and not yet ended."""
        return frozenset(self._running)

    def start(self) -> list[str]:
        """Hand out the stages that may start now, the most urgent first."""
        started = []
        while (address := self._next()) is not None:
            self._ready.remove(address)
            self._running.add(address)
            self._give(address, -1)
            started.append(address)
        return started

    def end(self, address: str, succeeded: bool) -> None:
        """Take a stage back: what it held is free again, and what waited for it may start.

        What needs the outputs of a stage that failed never starts; what was only to come after it does.
        """
        self._running.remove(address)
        self._ended.add(address)
        self._give(address, 1)
        self._halted |= not succeeded and not self._keep_going
        for follower in self._followers[address]:
            if succeeded or address not in self._plan[follower].needs:
                self._waits_for[follower].discard(address)
                self._add_if_ready(follower)
        if self._first <= self._ended:  # the first result is there
            self._first = set()
        elif not succeeded and address in self._first:
            self._first = _soonest_chain(self._plan, self._seconds, without=self._cut_off())

    def _next(self) -> str | None:
        if self._halted or not self._free:
            return None
        fitting = [address for address in self._ready if self._fits(address)]
        if not self._first & self._running:
            fitting = [address for address in fitting if address in self._first] or fitting
        return fitting[0] if fitting else None

    def _fits(self, address: str) -> bool:
        return all(self._room.get(limit, 1) > 0 for limit in self._plan[address].limits)

    def _give(self, address: str, count: int) -> None:
        self._free += count
        for limit in self._plan[address].limits:
            if limit in self._room:
                self._room[limit] += count

    def _add_if_ready(self, address: str) -> None:
        if not self._waits_for[address]:
            insort(self._ready, address, key=self._rank.__getitem__)

    def _cut_off(self) -> set[str]:
        """Return what has ended and has not freed what needs it, and all that can therefore never start."""
        failed = {need for address, stage in self._plan.items() for need in stage.needs if self._failed(need, address)}
        return failed | {address for address, needed in _needed(self._plan).items() if needed & failed}

    def _failed(self, need: str, address: str) -> bool:
        return need in self._ended and need in self._waits_for[address]


def _followers(plan: Plan) -> dict[str, list[str]]:
    """Return by address what has to wait for it, in the plan's order."""
    followers: dict[str, list[str]] = {address: [] for address in plan}
    for address, stage in plan.items():
        for other in dict.fromkeys((*stage.needs, *stage.after)):
            followers[other].append(address)
    return followers


def _longest_first(
    plan: Plan, seconds: Mapping[str, float], followers: Mapping[str, list[str]]
) -> dict[str, tuple[float, int]]:
    """Return by address its place in the queue: the stage with the longest way to the end of the plan comes first."""
    way: dict[str, float] = {}
    for address in reversed(list(_in_order(plan))):
        way[address] = seconds[address] + max((way[follower] for follower in followers[address]), default=0.0)
    return {address: (-way[address], position) for position, address in enumerate(plan)}


def _soonest_chain(plan: Plan, seconds: Mapping[str, float], without: Iterable[str] = ()) -> set[str]:
    """Return the stages of the result that can be had soonest; none if there is nothing to wait for.

    A result is a stage that no other needs, at the end of a chain as long as any: a check beside the way is none.
    """
    needed = _needed(plan)
    inner = {need for stage in plan.values() for need in stage.needs}
    chains = {end: needed[end] | {end} for end in plan if end not in inner and end not in set(without)}
    work = {end: sum(seconds[address] for address in chain) for end, chain in chains.items()}
    depth = _depths(plan)
    deepest = max((depth[end] for end in chains if work[end]), default=0)
    soonest = min((end for end in chains if work[end] and depth[end] == deepest), key=work.__getitem__, default=None)
    return chains[soonest] if soonest is not None else set()


def _needed(plan: Plan) -> dict[str, set[str]]:
    """Return by address all the stages that it needs, directly or not."""
    needed: dict[str, set[str]] = {}
    for address in _in_order(plan):
        needs = plan[address].needs
        needed[address] = set(needs).union(*(needed[need] for need in needs))
    return needed


def _depths(plan: Plan) -> dict[str, int]:
    depths: dict[str, int] = {}
    for address in _in_order(plan):
        depths[address] = 1 + max((depths[need] for need in plan[address].needs), default=0)
    return depths


def _in_order(plan: Plan) -> Iterable[str]:
    """Return the addresses so that each comes after all that it waits for."""
    return TopologicalSorter({name: (*stage.needs, *stage.after) for name, stage in plan.items()}).static_order()
