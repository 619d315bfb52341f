"""All that the report and the model card tell, and the sentences they share."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tidemill.evaluation.intervals import Interval


@dataclass(frozen=True)
class Facts:
    """What one evaluation knows of a model, from its data to its mistakes."""

    meanings: dict[str, str]
    """What each metric says."""
    evaluation: dict[str, Any]
    """What `evaluation.json` holds."""
    rows: pd.DataFrame
    """The test rows."""
    inputs: tuple[str, ...]
    """The columns of `rows` that the model is shown."""
    predictions: pd.DataFrame
    """A prediction with its loss for each test row, in their order."""
    plots: dict[str, pd.DataFrame]
    curves: pd.DataFrame
    profile: dict[str, Any]
    """What `profile.json` holds: rows and labels by split, rejected rows by reason."""
    config: dict[str, Any]
    """What the model's `config.json` holds: its params, those of its tokens, and its spec."""
    training: dict[str, Any]
    """Params of the training."""
    latency: dict[str, Any]
    """What `latency.json` holds."""
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By the name of a behaviour, a changed row that did not do as expected."""

    @property
    def system(self) -> str:
        """The system's name."""
        return str(self.evaluation["system"])

    @property
    def task(self) -> str:
        """The task's name."""
        return str(self.evaluation["task"])

    @property
    def params(self) -> dict[str, dict[str, Any]]:
        """Blocks of params by name."""
        return {"model": self.config["model"], "tokenize": self.config["tokenize"], "training": self.training}

    @property
    def lineage(self) -> dict[str, str]:
        """Hashes of what the model is and of what it was made from and measured on."""
        return {
            "weights": self.evaluation["weights_sha256"],
            "training shards": self.config["spec"]["splits"]["train"]["sha256"],
            "test set": self.evaluation["test_set"]["sha256"],
        }

    @property
    def main(self) -> Interval:
        """The main metric of the model."""
        found: Interval = self.evaluation["metrics"][self.evaluation["main_metric"]]
        return found

    @property
    def has_labels(self) -> bool:
        """Whether an answer is right or wrong, and not just more or less likely."""
        return "label" in self.predictions and bool(self.predictions["label"].notna().any())

    @property
    def worst(self) -> pd.DataFrame:
        """Test rows with their predictions, the highest loss first; where there are labels, only the wrong ones."""
        joined = self._answered
        wrong = joined[~self._is_right(joined)] if self.has_labels else joined
        return wrong.sort_values("loss", ascending=False, kind="stable")

    @property
    def right(self) -> pd.DataFrame:
        """The first test row of each class that was answered rightly; none where there are no labels."""
        joined = self._answered
        return joined[self._is_right(joined)].drop_duplicates("label") if self.has_labels else joined.head(0)

    @property
    def _answered(self) -> pd.DataFrame:
        """Test rows with their predictions."""
        own = self.rows[[name for name in self.rows if name not in self.predictions]]
        return self.predictions.join(own.reset_index(drop=True))

    @staticmethod
    def _is_right(joined: pd.DataFrame) -> "pd.Series[bool]":
        return joined["correct"] if "correct" in joined else joined["prediction"] == joined["label"]


def words(name: str) -> str:
    """A metric's or task's name as a reader would write it."""
    return re.sub(r"\bf1\b", "F1", name.replace("_", " "))


def number(value: float) -> str:
    """A figure with as many digits as its size needs."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{value:+.3f}" if abs(value) < 10 else f"{value:+,.1f}"


def span(interval: Interval) -> str:
    """The limits of an interval."""
    return f"{number(interval['low'])} to {number(interval['high'])}"


def param(value: Any) -> str:
    """A param as it stands in `params.yaml`."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def verdict(facts: Facts) -> str:
    """Whether the model was worth training: a sentence for each baseline, the hardest to beat first."""
    differences = {name: facts.evaluation[f"difference_to_{name}"] for name in facts.evaluation["baselines"]}
    hardest_first = sorted(differences.items(), key=lambda item: item[1]["value"])
    return " ".join(_against(name, difference) for name, difference in hardest_first)


def standing(difference: Interval) -> str:
    """`better`, `worse`, or `level` where the interval holds 0."""
    return "better" if difference["low"] > 0 else "worse" if difference["high"] < 0 else "level"


def _against(name: str, difference: Interval) -> str:
    value, low, high = difference["value"], difference["low"], difference["high"]
    return {
        "better": f"It beats the {name} baseline by {number(value)} ({number(low)} to {number(high)}).",
        "worse": f"It falls short of the {name} baseline by {number(-value)} ({number(-high)} to {number(-low)}).",
        "level": f"It cannot be told apart from the {name} baseline: {signed(value)} ({signed(low)} to {signed(high)}).",
    }[standing(difference)]
