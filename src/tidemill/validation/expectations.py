"""What must hold for an ingested table: lists of Great Expectations expectations, from which a task chooses.

Each list applies to every split (train, valid and test). What depends on the data, such as the set of labels or the shape
of the pictures, is taken from the training split, so that a stray row in another split is the one reported.
"""

import difflib
import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import TidemillError
from tidemill.core.tables import NOT_INPUTS
from tidemill.validation.params import Expectation, Validate

if TYPE_CHECKING:
    import pandas as pd

LONGEST_TEXT = 1_000_000
"""Characters; a longer text is a whole file read as one row."""
PICTURE_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK")
UNIFORM_SHARE = 0.99
"""Share of the training pictures with one size or mode from which all must have it: a folder of photographs mixes them."""
VALUE_SHARES = "expect_column_value_shares_to_be_at_least"
"""Our one addition to the library's expectations; `suites` defines it."""


def table_expectations(columns: Iterable[str], params: Validate) -> list[Expectation]:
    """Expect of any table its columns, enough rows, and unique ids of 16 hexadecimal digits."""
    names = ["id", *columns, "label", "row"]
    return [
        _expect("expect_table_columns_to_match_set", column_set=names, exact_match=False),
        _expect("expect_table_row_count_to_be_between", min_value=params.minimum_rows),
        _expect("expect_column_values_to_not_be_null", column="id"),
        _expect("expect_column_values_to_match_regex", column="id", regex="^[0-9a-f]{16}$"),
        _expect("expect_column_values_to_be_unique", column="id"),
    ]


def text_expectations(column: str = "text", longest: int = LONGEST_TEXT) -> list[Expectation]:
    """Expect of a text column `str`, never null or blank, at most `longest` characters, decoded correctly."""
    return [
        _expect("expect_column_values_to_not_be_null", column=column),
        _expect("expect_column_values_to_be_of_type", column=column, type_="str"),
        _expect("expect_column_value_lengths_to_be_between", column=column, min_value=1, max_value=longest),
        _expect("expect_column_values_to_match_regex", column=column, regex=r"\S"),
        _expect("expect_column_values_to_not_match_regex", column=column, regex="\ufffd", mostly=0.99),
    ]


def label_expectations(params: Validate, tables: "dict[str, pd.DataFrame]") -> list[Expectation]:
    """Expect of column `label` `str`, never null, at least two different ones, all known from training, none too rare."""
    labels = _training_shares(tables, "label").index.sort_values().tolist()
    shares = [_expect(VALUE_SHARES, column="label", value_set=labels, minimum=params.minimum_share)]
    return [
        _expect("expect_column_values_to_not_be_null", column="label"),
        _expect("expect_column_values_to_be_of_type", column="label", type_="str"),
        _expect("expect_column_unique_value_count_to_be_between", column="label", min_value=2),
        _expect("expect_column_values_to_be_in_set", column="label", value_set=labels),
        *(shares if params.minimum_share else []),
    ]


def number_expectations() -> list[Expectation]:
    """Expect of column `target` floats, never null, at least two different ones."""
    return [
        _expect("expect_column_values_to_not_be_null", column="target"),
        _expect("expect_column_values_to_be_of_type", column="target", type_="float64"),
        _expect("expect_column_unique_value_count_to_be_between", column="target", min_value=2),
    ]


def column_expectations(tables: "dict[str, pd.DataFrame]", target: str) -> list[Expectation]:
    """Expect of each other column of a table that it is not missing throughout where some training row has it."""
    names = [str(name) for name in tables["train"] if name not in (*NOT_INPUTS, "label", target)]
    known = [name for name in names if tables["train"][name].notna().any()]
    return [_expect("expect_column_unique_value_count_to_be_between", column=name, min_value=1) for name in known]


def label_set_expectations(params: Validate, labels: Iterable[str], between: str) -> list[Expectation]:
    """Expect of column `label`, with any number of labels as one text, that all are known from training and none too rare.

    Args:
        between: what separates the labels.
    """
    known = [re.escape(label) for label in labels]
    one = f"(?:{'|'.join(known)})"
    often = [
        _expect(
            "expect_column_values_to_match_regex",
            column="label",
            regex=f"(?:^|{between}){label}(?:{between}|$)",
            mostly=params.minimum_share,
        )
        for label in known
    ]
    return [
        _expect("expect_column_values_to_not_be_null", column="label"),
        _expect("expect_column_values_to_match_regex", column="label", regex=f"^(?:{one}(?:{between}{one})*)?$"),
        *(often if params.minimum_share else []),
    ]


def picture_expectations(tables: "dict[str, pd.DataFrame]") -> list[Expectation]:
    """Expect of pictures that they are not null, of a known mode, of 8 or 16 bits, and of the size that nearly all have.

    Where nearly all training pictures have no size in common, only a size of 0 is wrong.
    """
    return [
        _expect("expect_column_values_to_not_be_null", column="image"),
        *(_same_value(tables, side, otherwise=_between(side, 1, None)) for side in ("width", "height")),
        _same_value(tables, "mode", otherwise=_expect(_IN_SET, column="mode", value_set=list(PICTURE_MODES))),
        _between("minimum", 0, 65535),
        _between("maximum", 0, 65535),
        _expect(
            "expect_column_pair_values_a_to_be_greater_than_b", column_A="maximum", column_B="minimum", or_equal=True
        ),
    ]


def check_types(expectations: Iterable[Expectation]) -> None:
    """Refuse an expectation that does not exist, without importing the library.

    Raises:
        TidemillError: there is none of that type; the nearest one is given.
    """
    known = _known_types()
    for expectation in expectations:
        if expectation.type not in known:
            near = difflib.get_close_matches(expectation.type, known, n=1, cutoff=0)[0]
            raise TidemillError(f"validate.expectations: no expectation {expectation.type!r}; did you mean {near!r}?")


_IN_SET = "expect_column_values_to_be_in_set"


def _expect(name: str, /, **kwargs: Any) -> Expectation:
    return Expectation(type=name, kwargs=kwargs)


def _between(column: str, lowest: int, highest: int | None) -> Expectation:
    return _expect("expect_column_values_to_be_between", column=column, min_value=lowest, max_value=highest)


def _same_value(tables: "dict[str, pd.DataFrame]", column: str, otherwise: Expectation) -> Expectation:
    """Expect the value that nearly all training rows have; where there is none, `otherwise`."""
    shares = _training_shares(tables, column)
    usual = shares[shares >= UNIFORM_SHARE].index.tolist()
    return _expect(_IN_SET, column=column, value_set=usual) if usual else otherwise


def _training_shares(tables: "dict[str, pd.DataFrame]", column: str) -> "pd.Series[float]":
    """Return the share of each value; none where the column is missing, which another expectation reports."""
    return tables["train"].reindex(columns=[column])[column].value_counts(normalize=True)


def _known_types() -> list[str]:
    """Read the names from the library's package, which imports each expectation from a module of that name."""
    library = importlib.util.find_spec("great_expectations")
    if library is None or library.origin is None:
        raise TidemillError("great_expectations is not installed: run `make setup`")
    offered = Path(library.origin).with_name("expectations") / "core" / "__init__.py"
    return [*re.findall(r"^from \S*\.(expect_\w+) import", offered.read_text("utf-8"), re.MULTILINE), VALUE_SHARES]
