"""What the models of a cross-validation found: each metric by fold with its spread, an attack; as numbers and as pages."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.core.meaning import Meaning
from tidemill.evaluation.results import number, span, words

if TYPE_CHECKING:
    import pandas as pd

Spread = dict[str, dict[str, float]]
"""By metric: `mean`, `deviation` (that of a sample, between folds) and `fold_1`, `fold_2`, …"""


def spread(folds: Mapping[int, Mapping[str, float]]) -> Spread:
    """Return the spread of each metric that all folds have.

    Args:
        folds: metrics by name, by the number of the fold; two folds or more.
    """
    first, *others = folds.values()
    shared = [name for name in first if all(name in other for other in others)]
    return {name: _of_one({number: metrics[name] for number, metrics in folds.items()}) for name in shared}


def render(system: str, spread: Spread, fold: "pd.Series[int]", meanings: Mapping[str, Meaning]) -> str:
    """Render the page. Names of labels come from the data and are shown as text.

    Args:
        fold: the fold of each out-of-fold prediction.
    """
    rows = dict(fold.value_counts().sort_index().items())
    return _page("cross_validation.html.j2", system=system, spread=spread, rows=rows, meanings=meanings)


def render_attack(system: str, found: Mapping[str, Any], remembered: list[dict[str, Any]]) -> str:
    """Render the page of an attack by the models of the folds.

    Args:
        found: what `membership.against_references` found.
        remembered: the same as rows of a table.
    """
    return _page("attack.html.j2", system=system, found=found, remembered=remembered)


def _page(template: str, **values: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"words": words, "number": number, "span": span}
    return environment.get_template(template).render(**values)


def _of_one(values: Mapping[int, float]) -> dict[str, float]:
    found = {"mean": statistics.fmean(values.values()), "deviation": statistics.stdev(values.values())}
    return found | {f"fold_{number}": value for number, value in values.items()}
