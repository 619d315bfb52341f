"""What probes find, with a model whose every prediction is known: it looks for one word."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from tests.unit.evaluation.examples import rows_of
from tidemill.core.errors import TidemillError
from tidemill.core.intervals import share
from tidemill.core.spec import Spec
from tidemill.evaluation import probing
from tidemill.evaluation.params import Evaluate
from tidemill.evaluation.probing import Probed, probe_model
from tidemill.registry.checks import measurements
from tidemill.tasks.common import rows as task_rows
from tidemill.tasks.text_classification.probes import Params

LABELS = ["neg", "pos"]


class OneWord:
    """Predicts pos where it reads `good`, in small letters, and cannot read texts of more than 5,000 characters."""

    task = "text_classification"
    spec: Spec = {"labels": LABELS}  # noqa: RUF012
    inputs = ("text",)

    def __init__(self) -> None:
        self.rows = task_rows.of(self.task)
        self.texts: list[str] = []

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        self.texts += rows["text"].tolist()
        if (rows["text"].str.len() > 5000).any():
            raise ValueError("too long\nto read")
        chance = 0.2 + 0.6 * rows["text"].str.contains("good") + 0.01 * rows["text"].str.count("fine")
        chances = [np.array([1 - one, one]) for one in chance]
        labels = {"prediction": [LABELS[int(one > 0.5)] for one in chance], "confidence": [max(c) for c in chances]}
        return pd.DataFrame(labels | {"probabilities": chances}, index=rows.index)


@pytest.fixture
def rows() -> pd.DataFrame:
    return rows_of([f"{['bad', 'good'][number % 2]} thing {number} of it." for number in range(200)], LABELS)


def probed(rows: pd.DataFrame, *own: dict[str, Any], seed: int = 0) -> dict[str, Probed]:
    """The outcome of each probe of the task, and of the params, by its name."""
    params = Evaluate(probes=[Params(**one) for one in own], seed=seed)
    found = probe_model(OneWord(), rows, params)  # type: ignore[arg-type]
    return {one.result["name"]: one for one in found}


def test_what_must_not_matter_and_does_is_shown_with_the_row(rows: pd.DataFrame) -> None:
    found = probed(rows)
    assert found["white space"].result["passed"]["value"] == 1
    assert found["white space"].failure is None and found["white space"].result["failure"] is None
    capitals = found["capitals"].result
    assert (capitals["kind"], capitals["expects"], capitals["rows"]) == ("invariance", "the same label", 50)
    assert 0.2 < capitals["passed"]["value"] < 0.8, "only those it calls pos are called otherwise in capitals"
    assert capitals["failure"]["before"] == "pos, 0.800" and capitals["failure"]["after"] == "neg, 0.800"
    assert capitals["failure"]["text"].startswith("GOOD THING")
    shown = found["capitals"].failure
    assert shown is not None and shown["id"] == capitals["failure"]["id"] and shown["text"].startswith("GOOD THING")


def test_what_must_matter(rows: pd.DataFrame) -> None:
    found = probed(
        rows,
        {"name": "a negation", "replace": {"good": "bad"}, "lowers": "pos"},
        {"name": "a strong word", "append": " fine", "raises": "pos"},
        {"name": "no word at all", "append": " thing", "raises": "pos"},
        {"name": "swapped", "replace": {"good": "bad", "bad": "good"}, "changes": True},
        {"name": "nowhere", "replace": {"goo": "bad"}},
    )
    shares = {name: one.result["passed"] and one.result["passed"]["value"] for name, one in found.items()}
    assert shares["a negation"] == shares["a strong word"] == shares["swapped"] == 1
    assert shares["no word at all"] == 0
    assert shares["nowhere"] is None and found["nowhere"].result["rows"] == 0, "`goo` is no word of these texts"
    assert found["a negation"].result["expects"] == "pos less likely"
    assert found["a text of another class before it"].result["kind"] == "direction"
    assert measurements({"metrics": {"f1": {}}, "probes": [one.result for one in found.values()]}).keys() >= {
        "f1",
        "probe.a_negation",
        "probe.a_strong_word",
    }


def test_an_error_is_a_failure_and_is_shown(rows: pd.DataFrame) -> None:
    found = probed(rows)["very long"].result
    assert found["passed"]["value"] == 0
    assert found["rows"] == probing.EDGE_ROWS
    assert found["failure"]["after"] == "ValueError: too long to read"
    assert len(found["failure"]["text"]) == probing.LONGEST


def test_what_is_the_same_to_the_model_is_predicted_once(rows: pd.DataFrame) -> None:
    model = OneWord()
    found = probe_model(model, rows, Evaluate())  # type: ignore[arg-type]
    normal = pd.Series([model.rows.normalise(pd.DataFrame({"text": [text]}))["text"][0] for text in model.texts])
    assert normal[normal.str.len() < 5000].is_unique
    assert sum(one.result["rows"] for one in found) > 1.4 * len(normal)


def test_the_seed_decides_the_sample(rows: pd.DataFrame) -> None:
    assert probed(rows)["capitals"].result == probed(rows)["capitals"].result
    assert probed(rows)["capitals"].result != probed(rows, seed=1)["capitals"].result


def test_a_label_that_does_not_exist_is_named(rows: pd.DataFrame) -> None:
    with pytest.raises(
        TidemillError, match=r"'a negation' is about 'positive', which no prediction has; there are: neg, pos"
    ):
        probed(rows, {"name": "a negation", "append": "not", "lowers": "positive"})


@pytest.mark.parametrize(("hits", "rows"), [(0, 5), (5, 5), (43, 50), (1, 1)])
def test_the_interval_of_a_share_is_wilsons(hits: int, rows: int) -> None:
    found = share(hits, rows, 0.9)
    theirs = binomtest(hits, rows).proportion_ci(0.9, method="wilson")
    assert (found["low"], found["high"]) == pytest.approx((theirs.low, theirs.high), abs=1e-6)
    assert found["value"] == pytest.approx(hits / rows, abs=1e-6)
