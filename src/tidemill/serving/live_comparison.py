"""Two versions compared on the same requests: how often they agree, and how long each takes."""

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from tidemill.core.intervals import Interval, share
from tidemill.serving.predictions import records
from tidemill.tasks.common import scoring

SHOWN = 10
CONFIDENCE = 0.95
LONGEST = 1000
"""Characters shown of a value: a picture has millions."""


@dataclass(frozen=True)
class Predictions:
    """The predictions of one version for some rows."""

    version: str
    rows: pd.DataFrame
    """`prediction`, `confidence`, and the `reason` of each row that has none."""
    seconds: float


@dataclass
class LiveComparison:
    """The counts so far."""

    task: str
    champion: str
    challenger: str
    compared: int = 0
    agreed: int = 0
    unanswered: int = 0
    """Rows that at least one of the two cannot predict."""
    missed: int = 0
    """Rows that only one predicted, since the other was too far behind."""
    champion_seconds: float = 0.0
    challenger_seconds: float = 0.0
    differences: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=SHOWN))
    """The last rows on which they differ, with both predictions."""

    def count(self, rows: pd.DataFrame, champion: Predictions, challenger: Predictions) -> None:
        """Add both predictions for the same rows."""
        old, new = champion.rows, challenger.rows
        both = old["reason"].isna() & new["reason"].isna()
        same = scoring.of(self.task).is_same(old["prediction"][both], new["prediction"][both])
        self.compared += int(both.sum())
        self.agreed += int(same.sum())
        self.unanswered += int((~both).sum())
        self.champion_seconds += champion.seconds
        self.challenger_seconds += challenger.seconds
        differ = same.index[~same][-SHOWN:]
        predictions = {"champion": old["prediction"][differ], "challenger": new["prediction"][differ]}
        for row in records(rows.loc[differ].assign(**predictions)):
            self.differences.append({name: _shortened(value) for name, value in row.items()})

    def document(self) -> dict[str, Any]:
        """Return all of it for JSON, with the share of rows on which they agree."""
        agreement: Interval | None = share(self.agreed, self.compared, CONFIDENCE) if self.compared else None
        return {**asdict(self), "agreement": agreement, "differences": list(self.differences)}


def _shortened(value: Any) -> Any:
    text = value if isinstance(value, str) else str(value)
    return value if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
