"""Which experiments belong to the decision log, by name."""

import re
from dataclasses import dataclass

from tidemill.registry.decision_log import DRAFT, EXPERIMENT

NAME = re.compile(EXPERIMENT.format("(?P<system>.+?)") + f"(?P<draft>{DRAFT.format('[0-9a-f]{32}')})?")
RESERVED = EXPERIMENT.format("")


@dataclass(frozen=True)
class Log:
    """The experiment that holds the decision log of a system, or the draft it is made from."""

    system: str
    is_draft: bool


def log_of(name: str) -> Log | None:
    """The log an experiment holds, by its name."""
    found = NAME.fullmatch(name)
    return Log(found["system"], found["draft"] is not None) if found else None


def is_ordinary(name: str) -> bool:
    """Whether an experiment has nothing to do with decisions; a name that only looks like a log's is not ordinary."""
    return not name.strip().casefold().startswith(RESERVED)
