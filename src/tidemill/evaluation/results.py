"""All that the report and the model card show, and the sentences they share."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tidemill.core.intervals import Interval
from tidemill.core.meaning import Meaning

EXPLANATION = ["label", "kind", "feature", "weight"]


@dataclass(frozen=True)
class Results:
    """Everything an evaluation found out about a model, from its data to its mistakes."""

    meanings: dict[str, Meaning]
    """What each metric means."""
    evaluation: dict[str, Any]
    """Content of `evaluation.json`."""
    rows: pd.DataFrame
    """The test rows."""
    inputs: tuple[str, ...]
    """Columns of `rows` that the model reads."""
    predictions: pd.DataFrame
    """A prediction with its loss for each test row, in their order."""
    plots: dict[str, pd.DataFrame]
    curves: pd.DataFrame
    profile: dict[str, Any]
    """Content of `profile.json`: rows and labels by split, rejected rows by reason."""
    config: dict[str, Any]
    """Content of the model's `config.json`: params of the model and its training, and the spec."""
    latency: dict[str, Any]
    """Content of `latency.json`."""
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)
    """A changed row that failed, by the name of the probe."""
    explanation: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=EXPLANATION))
    """The features with the largest weights for each label; no row where single weights of the model say nothing."""

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
        """Blocks of params by name and, of a model whose weights a solver found, its solution."""
        blocks = {
            "model": self.config["model"],
            "tokenize": self.config["spec"]["tokenize"],
            "training": self.config["training"],
        }
        return {"solution": self.config["solution"], **blocks} if "solution" in self.config else blocks

    @property
    def privacy(self) -> dict[str, Any] | None:
        """What of differential privacy its training spent; None where nothing is bounded."""
        return self.config.get("privacy")

    @property
    def lineage(self) -> dict[str, str]:
        """Hashes of the weights, the training shards and the test set."""
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
    def sign(self) -> int:
        """1 if a higher value of the main metric is the better one, otherwise -1."""
        return self.meanings[self.evaluation["main_metric"]].sign

    @property
    def has_labels(self) -> bool:
        """Whether a prediction is right or wrong, and not just more or less likely."""
        return "label" in self.predictions and bool(self.predictions["label"].notna().any())

    @property
    def worst(self) -> pd.DataFrame:
        """Test rows with their predictions, the highest loss first; where there are labels, only the wrong ones."""
        joined = self._predicted
        wrong = joined[~joined["correct"].astype(bool)] if self.has_labels else joined
        return wrong.sort_values("loss", ascending=False, kind="stable")

    @property
    def right(self) -> pd.DataFrame:
        """The first test row of each class that was predicted correctly; none where there are no labels."""
        joined = self._predicted
        return joined[joined["correct"].astype(bool)].drop_duplicates("label") if self.has_labels else joined.head(0)

    @property
    def _predicted(self) -> pd.DataFrame:
        """Test rows with their predictions."""
        own = self.rows[[name for name in self.rows if name not in self.predictions]]
        return self.predictions.join(own.reset_index(drop=True))


def words(name: str) -> str:
    """Format the name of a metric or task as prose."""
    return re.sub(r"\bf1\b", "F1", name.replace("_", " "))


def number(value: float) -> str:
    """Format a number with as many digits as its size needs."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def signed(value: float) -> str:
    """Format a difference with its sign."""
    return f"{value:+.3f}" if abs(value) < 10 else f"{value:+,.1f}"


def span(interval: Interval) -> str:
    """Format the limits of an interval."""
    return f"{number(interval['low'])} to {number(interval['high'])}"


def param(value: Any) -> str:
    """Format a param as it stands in `params.yaml`."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def verdict(results: Results) -> str:
    """Compare the model with each baseline, the strongest first, in a sentence each."""
    strongest_first = sorted(differences(results.evaluation).items(), key=lambda item: item[1]["value"])
    return " ".join(_against(name, difference) for name, difference in strongest_first)


def differences(evaluation: dict[str, Any]) -> dict[str, Interval]:
    """Return how much better the model's main metric is than that of each baseline that has it, by the baseline's name."""
    return {name: evaluation[key] for name in evaluation["baselines"] if (key := f"difference_to_{name}") in evaluation}


def standing(difference: Interval) -> str:
    """Return `better`, `worse`, or `level` if the interval contains 0."""
    return "better" if difference["low"] > 0 else "worse" if difference["high"] < 0 else "level"


def _against(name: str, difference: Interval) -> str:
    value, low, high = difference["value"], difference["low"], difference["high"]
    return {
        "better": f"It beats the {name} baseline by {number(value)} ({number(low)} to {number(high)}).",
        "worse": f"It falls short of the {name} baseline by {number(-value)} ({number(-high)} to {number(-low)}).",
        "level": f"It cannot be told apart from the {name} baseline: {signed(value)} ({signed(low)} to {signed(high)}).",
    }[standing(difference)]
