"""Params proposed for every task alike: shares of the splits, limits of the checks, and pinned models to build on."""

import math
from typing import Any

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.core.labels import MOST_LABELS
from tidemill.project.params import Project
from tidemill.tasks.common.proposal import Pinned
from tidemill.validation.params import Validate

MINIMUM_ROWS = Validate().minimum_rows
SHOWN = 8
"""Labels whose shares are reported."""


def pinned(project: Project) -> list[Pinned]:
    """Return the blocks of the systems and presets that build on a pinned pretrained model."""
    found = []
    for system in [*project.systems.values(), *project.presets.values()]:
        model = system.model.model_dump(mode="json", by_alias=True, exclude_unset=True)
        if model.get("pretrained") is not None:
            tokenize = system.tokenize.model_dump(mode="json", by_alias=True, exclude_unset=True)
            found.append(Pinned(system.task, tokenize, model))
    return found


def shares(rows: pd.DataFrame, labels: "pd.Series[Any] | None") -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Return `ingest` and `validate` for that many rows, and warnings.

    A hash places each row, so a share holds on average only: each split is to have enough rows all the same.
    """
    given = set(rows["split"].dropna())
    share = 0.1 if _fewest(len(rows), 0.1) >= MINIMUM_ROWS else 0.2
    ingest = {name: share for name in ("valid", "test") if name not in given}
    fewest = min([_fewest(len(rows), share), *(int((rows["split"] == name).sum()) for name in given)])
    validate: dict[str, Any] = {} if fewest >= MINIMUM_ROWS else {"minimum_rows": max(1, fewest)}
    warnings = [f"only {len(rows)} rows: the confidence intervals of its metrics will be wide"] if validate else []
    if labels is not None and _fewest(int(labels.value_counts().min()), share) < 0.01 * share * len(rows):
        validate["minimum_share"] = 0.0
        warnings.append("its rarest label may be missing from a split, so validate.minimum_share is 0")
    return ingest, validate, warnings


def label_note(labels: "pd.Series[Any]", rows: int) -> str:
    """Return a note on the labels and their shares.

    Raises:
        TidemillError: there are too many of them.
    """
    counts = labels.value_counts()
    if len(counts) > MOST_LABELS:
        raise TidemillError(
            f"{len(counts):,} labels, but at most {MOST_LABELS:,} can be told apart: merge the rare ones"
        )
    shown = ", ".join(f"{label} {count / rows:.1%}" for label, count in counts.head(SHOWN).items())
    more = f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
    missing = f"; {labels.isna().sum()} rows have none" if labels.isna().any() else ""
    return f"{len(counts)} labels: {shown}{more}{missing}"


def _fewest(rows: int, share: float) -> int:
    """Return the rows that a split of that share has in 999 cases of 1,000 (three standard deviations)."""
    return int(rows * share - 3 * math.sqrt(rows * share * (1 - share)))
