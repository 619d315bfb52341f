"""What is found of two versions while they are asked the same: how often they agree, and what either takes."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tidemill.evaluation.intervals import Interval, share

SHOWN = 10
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Answers:
    """What one version said of some rows."""

    version: str
    rows: pd.DataFrame
    """`prediction`, `confidence`, and the `reason` of each row that has none."""
    seconds: float


@dataclass
class Tally:
    """The counts so far."""

    champion: str
    challenger: str
    compared: int = 0
    agreed: int = 0
    unanswered: int = 0
    """Rows that at least one of the two cannot answer."""
    missed: int = 0
    """Rows that only one was asked, for the other was too far behind."""
    champion_seconds: float = 0.0
    challenger_seconds: float = 0.0
    differences: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=SHOWN))
    """The last rows on which they differ, with both answers."""

    def count(self, rows: pd.DataFrame, champion: Answers, challenger: Answers) -> None:
        """Add what both said of the same rows."""
        old, new = champion.rows, challenger.rows
        both = old["reason"].isna() & new["reason"].isna()
        differ = both & (old["prediction"] != new["prediction"])
        self.compared += int(both.sum())
        self.agreed += int((both & ~differ).sum())
        self.unanswered += int((~both).sum())
        self.champion_seconds += champion.seconds
        self.challenger_seconds += challenger.seconds
        for row in rows.index[differ]:
            said = {"champion": old["prediction"][row], "challenger": new["prediction"][row]}
            self.differences.append({**rows.loc[row].to_dict(), **said})

    def told(self) -> dict[str, Any]:
        """All of it for JSON, with the share of rows on which they agree."""
        agreement: Interval | None = share(self.agreed, self.compared, CONFIDENCE) if self.compared else None
        return {**vars(self), "agreement": agreement, "differences": list(self.differences)}
