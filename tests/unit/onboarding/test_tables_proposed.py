"""A table of one's own: which task it is, what is tried, and what it cannot be, in one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.tables import write
from tidemill.core.errors import TidemillError
from tidemill.onboarding.columns import guessed_task, named_columns
from tidemill.onboarding.inspection import inspect
from tidemill.onboarding.new import propose
from tidemill.tasks.common import rows


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project without systems, and the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("systems: {}\n", encoding="utf-8")
    return tmp_path


def people(rows: int = 300) -> pd.DataFrame:
    """Passengers of a ship, with their names."""
    draw = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "passenger": range(rows),
            "survived": draw.integers(0, 2, rows),
            "name": [f"Mr. Person {number:04} the Elder" for number in range(rows)],
            "sex": draw.choice(["male", "female"], rows),
            "age": draw.integers(1, 80, rows),
            "boarded": draw.choice(["2026-01-31", "2026-02-01"], rows),
        }
    )


def guessed(table: pd.DataFrame) -> tuple[str, dict[str, str]]:
    table.to_csv("table.csv", index=False)
    inspected = inspect("table.csv", False, Path("data"))
    task = guessed_task(inspected)[0]
    return task, named_columns(task, inspected)


def test_the_task_is_that_of_the_column_to_predict(folder: Path) -> None:
    iris = write(folder / "iris.csv", "iris", "species")
    assert guessed(iris) == ("table_classification", {"label": "species"})
    assert guessed(people()) == ("table_classification", {"label": "survived"})
    diabetes = write(folder / "diabetes.csv", "diabetes", "progression")
    assert guessed(diabetes) == ("table_regression", {"target": "progression"})
    priced = people().assign(price=np.random.default_rng(1).normal(size=300)).drop(columns="survived")
    assert guessed(priced[["price", *priced.columns.drop("price")]]) == ("table_regression", {"target": "price"})
    reviews = people().assign(review=[f"the room {n} was fine and we liked the view a lot" for n in range(300)])
    assert guessed(reviews.rename(columns={"survived": "label"}))[0] == "text_classification"
    rated = reviews[["review"]].assign(rating=np.random.default_rng(2).normal(size=300))
    assert guessed(rated) == ("text_regression", {"text": "review", "target": "rating"})


def test_trees_a_linear_model_and_a_perceptron_are_tried_and_the_best_is_written(folder: Path) -> None:
    write(folder / "wine.csv", "wine", "label")
    said: list[str] = []
    found = propose("wine", None, "wine.csv", budget=30, report=said.append)
    assert {trial.candidate for trial in found.trials} == {
        "boosted trees",
        "linear on columns",
        "perceptron on columns",
    }
    assert "task: table_classification" in found.params and "thresholds:" in found.params
    assert any(line.startswith("table: 13 columns") for line in found.lines)


def test_a_column_may_be_called_self(folder: Path) -> None:
    people().rename(columns={"age": "self"}).to_csv("people.csv", index=False)
    cleaned = rows.of("table_classification").clean(
        inspect("people.csv", False, Path("data")).rows.drop(columns="label").rename(columns={"survived": "label"})
    )
    assert cleaned["self"].dtype == float and cleaned["reason"].isna().all()


@pytest.mark.parametrize(
    ("table", "task", "message"),
    [
        (people().assign(survived=1), "table-classification", "all 300 rows have the label"),
        (people(10), "table-classification", "none of .* rows is left"),
        (pd.concat([people(1)] * 50), "table-classification", "all 50 rows have the label"),
        (people()[["name", "sex"]], "table-regression", "table_regression needs a column"),
    ],
    ids=["one class", "ten rows", "all copies", "no number"],
)
def test_what_cannot_be_learned_is_one_line(folder: Path, table: pd.DataFrame, task: str | None, message: str) -> None:
    table.to_csv("table.csv", index=False)
    with pytest.raises(TidemillError, match=message) as caught:
        propose("people", task, "table.csv", budget=5, report=lambda line: None)
    assert "\n" not in str(caught.value)
    assert (folder / "params.yaml").read_text(encoding="utf-8") == "systems: {}\n"
