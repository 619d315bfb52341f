"""Columns of a table: typed by nearly all of their cells, encoded by the training rows alone."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from tidemill.core import cells
from tidemill.core.errors import TidemillError
from tidemill.tokens import columns

TABLE = pd.DataFrame(
    {
        "id": list("abcdef"),
        "size": [1.0, 2.0, np.nan, 4.0, 8.0, 3.0],
        "colour": ["red", "red", "blue", None, "green", "blue"],
        "day": pd.to_datetime(
            ["2026-01-01", "2026-04-02", None, "2026-07-03", "2026-10-01 12:00", "2027-01-01"], format="ISO8601"
        ),
        "same": [1.0] * 6,
        "name": [f"n{number}" for number in range(6)],
        "empty": pd.Series([None] * 6, dtype="str"),
    }
)


def fitted(table: pd.DataFrame = TABLE, **given: object) -> tuple[list[columns.Column], list[str]]:
    chosen = {"left_out": ["id"], "forced": [], "most": 10, "fewest": 2} | given
    return columns.fit([table.iloc[:2], table.iloc[2:]], **chosen)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "dtype", "unreadable"),
    [
        (["1", " 2.5 ", "", "NA", "-3e2"], "float64", 0),
        (["1"] * 40 + ["plenty"], "float64", 1),
        (["1", "2", "three"], "str", 0),
        (["2026-01-31", "2026-01-31T10:30:00Z", "?"], "datetime64[us]", 0),
        ([True, False, None], "str", 0),
        ([1, 2.0, np.inf], "float64", 0),
        ([None, "nan"], "float64", 0),
    ],
)
def test_the_type_of_a_column(written: list[object], dtype: str, unreadable: int) -> None:
    found = cells.typed(pd.Series(written))
    assert str(found.values.dtype) == dtype and int(found.unreadable.sum()) == unreadable


def test_numbers_are_those_of_scikit_learns_scaler_whatever_the_blocks() -> None:
    found, constant = fitted()
    assert [column["name"] for column in found] == ["size", "colour", "day"]
    assert constant == ["same", "name", "empty"]
    assert json.loads(json.dumps(found)) == found
    encoded = columns.encode(TABLE, found)
    theirs = StandardScaler().fit_transform(TABLE[["size"]])[:, 0]
    np.testing.assert_allclose(encoded["numbers"][:, 0], theirs, rtol=1e-6)
    assert encoded["numbers"].dtype == np.float32 and encoded["numbers"].shape == (6, len(columns.number_names(found)))


def test_categories_have_codes_for_missing_and_other_values() -> None:
    found, _ = fitted()
    assert columns.category_values(found) == [
        ["colour is missing", "colour = another", "colour = blue", "colour = red"]
    ]
    new = TABLE.head(4).assign(colour=["red", "violet", None, 7])
    assert columns.encode(new, found)["categories"][:, 0].tolist() == [3, 1, 0, 1]


def test_the_end_of_a_year_is_next_to_its_beginning() -> None:
    found, _ = fitted()
    rows = TABLE.head(3).assign(day=["2026-12-31", "2026-01-01", "2026-07-01"])
    year = columns.encode(rows, found)["numbers"][:, 2:4]
    assert np.linalg.norm(year[0] - year[1]) < 0.05 < 1.9 < np.linalg.norm(year[1] - year[2])


def test_the_same_row_however_it_is_written() -> None:
    found, _ = fitted()
    known = columns.encode(TABLE, found)
    written = TABLE.astype(object).map(lambda cell: f" {cell} ", na_action="ignore")
    for name, values in columns.encode(written, found).items():
        np.testing.assert_array_equal(values, known[name])
    empty = columns.encode(TABLE.assign(size="", colour="NA", day="null"), found)
    assert np.isnan(empty["numbers"]).all() and (empty["categories"] == columns.WITHOUT).all()


@pytest.mark.parametrize(
    ("cell", "message"),
    [({"size": "big"}, "column size: 'big' is no number"), ({"day": "May"}, "column day: 'May' is no date")],
)
def test_a_cell_of_another_type_is_named(cell: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        columns.encode(TABLE.head(1).assign(**cell), fitted()[0])


def test_numbers_that_are_names_and_columns_that_are_not_there() -> None:
    found, _ = fitted(TABLE.assign(code=[1.0, 1.0, 2.0, 2.0, 3.0, np.nan]), forced=["code"])
    assert found[-1] == {"name": "code", "kind": "category", "values": ["1", "2"]}
    with pytest.raises(TidemillError, match=r"tokenize.categories: no column 'postcode'; there are: size, colour"):
        fitted(forced=["postcode"])
    with pytest.raises(TidemillError, match="no column of the training rows tells one from another"):
        fitted(TABLE[["id", "same", "name", "empty"]])
