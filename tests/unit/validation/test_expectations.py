"""The expectations hold for sound tables, and each kind of unsound row is named."""

import json
import re
from collections.abc import Sequence

import pandas as pd
import pytest

from tidemill.core.errors import TidemillError
from tidemill.validation import expectations as expect
from tidemill.validation.params import Expectation, Validate
from tidemill.validation.suites import Validation, validate

Tables = dict[str, pd.DataFrame]
PARAMS = Validate()


def texts() -> Tables:
    """Three splits of 40 rows each, two labels."""
    return {split: _text_table(start) for split, start in (("train", 0), ("valid", 40), ("test", 80))}


def pictures() -> Tables:
    return {
        split: table.drop(columns="text").assign(
            image=b"\x89PNG", width=28, height=28, mode="L", minimum=0, maximum=255
        )
        for split, table in texts().items()
    }


def check_texts(tables: Tables, params: Validate = PARAMS) -> Validation:
    defaults = expect.table_expectations(["text"], params) + expect.text_expectations()
    return validate(tables, [*defaults, *expect.label_expectations(params, tables), *params.expectations])


def check_pictures(tables: Tables) -> Validation:
    defaults = expect.table_expectations(["image"], PARAMS) + expect.picture_expectations(tables)
    return validate(tables, defaults + expect.label_expectations(PARAMS, tables))


def put(tables: Tables, split: str, row: int, **values: object) -> Tables:
    """The tables with other values in one row."""
    for column, value in values.items():
        tables[split].loc[row, column] = value
    return tables


def test_sound_tables_pass() -> None:
    assert check_texts(texts()).broken == []
    assert check_pictures(pictures()).broken == []


def test_each_broken_row_is_named_with_its_value() -> None:
    tables = put(texts(), "train", 7, text=None)
    tables = put(tables, "train", 8, label=None)
    tables = put(tables, "valid", 1, text="")
    tables = put(tables, "valid", 2, id="not-hexadecimal!")
    tables = put(tables, "test", 3, text=" \t")
    tables = put(tables, "test", 4, label="neutral")
    assert [_without_kwargs(line) for line in check_texts(tables).broken] == [
        f"train: expect_column_values_to_not_be_null: 1 of 40 rows: {_id(8)} label=None",
        f"train: expect_column_values_to_not_be_null: 1 of 40 rows: {_id(7)} text=None",
        f"valid: expect_column_value_lengths_to_be_between: 1 of 40 rows: {_id(41)} text=''",
        "valid: expect_column_values_to_match_regex: 1 of 40 rows: not-hexadecimal!",
        f"valid: expect_column_values_to_match_regex: 1 of 40 rows: {_id(41)} text=''",
        f"test: expect_column_values_to_be_in_set: 1 of 40 rows: {_id(84)} label='neutral'",
        f"test: expect_column_values_to_match_regex: 1 of 40 rows: {_id(83)} text=' \\t'",
    ]


def test_a_row_in_two_splits_is_named_with_both() -> None:
    tables = texts()
    copied = tables["train"]["id"][3]
    broken = check_texts(put(tables, "test", 0, id=copied)).broken
    assert broken == [
        f"splits: expect_column_values_to_be_unique(column='id'): 2 of 120 rows: "
        f"{copied} split='train'; {copied} split='test'"
    ]


def test_each_odd_picture_is_named() -> None:
    odd = {"width": 27, "height": 0, "mode": "RGB", "minimum": -1, "maximum": 70000, "image": None}
    tables = pictures()
    for row, (column, value) in enumerate(odd.items()):
        tables = put(tables, "test", row, **{column: value})
    broken = check_pictures(tables).broken
    assert all(line.startswith("test: ") for line in broken)
    for row, (column, value) in enumerate(odd.items()):
        assert any(f"{_id(80 + row)} {column}={value!r}" in line for line in broken), column


@pytest.mark.parametrize("widths", [range(10, 50), [28] * 35 + [32] * 5])
def test_pictures_of_many_sizes_need_only_have_one(widths: Sequence[int]) -> None:
    tables = pictures()
    for table in tables.values():
        table["width"] = widths
    assert check_pictures(tables).broken == []
    assert "'width'" in check_pictures(put(tables, "valid", 1, width=0)).broken[0]


def test_a_rare_or_absent_label_is_named_with_its_share() -> None:
    tables = texts()
    tables["test"]["label"] = "good"
    shares = [line for line in check_texts(tables).broken if expect.VALUE_SHARES in line]
    assert shares == [line for line in shares if line.startswith("test: ") and line.endswith("observed {'bad': 0.0}")]
    assert len(shares) == 1
    relaxed = check_texts(tables, Validate(minimum_share=0)).broken
    assert not [line for line in relaxed if expect.VALUE_SHARES in line]


def test_too_few_rows() -> None:
    tables = {split: table.head(9) for split, table in texts().items()}
    assert [line.split("(")[0] for line in check_texts(tables).broken] == [
        f"{split}: expect_table_row_count_to_be_between" for split in ("train", "valid", "test")
    ]


@pytest.mark.parametrize("column", ["id", "label"])
def test_a_missing_column_is_named(column: str) -> None:
    tables = {split: table.drop(columns=column) for split, table in texts().items()}
    broken = check_texts(tables).broken
    assert any("expect_table_columns_to_match_set" in line for line in broken)
    assert any(f'The column "{column}"' in line for line in broken)


def test_at_most_twenty_rows_are_named_and_long_values_cut() -> None:
    tables = texts()
    tables["train"]["text"] = "\ufffd" * 500
    entries = check_texts(tables).summary["tables"]["train"]
    entry = next(e for e in entries if e["expectation"] == "expect_column_values_to_not_match_regex")
    assert entry["unexpected"] == 40
    assert [row["id"] for row in entry["examples"]] == [_id(number) for number in range(20)]
    assert {len(row["text"]) for row in entry["examples"]} == {201}


def test_the_summary_is_the_same_on_every_run() -> None:
    def summary() -> str:
        return json.dumps(check_texts(put(texts(), "train", 2, text=None)).summary)

    assert summary() == summary()


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        (Expectation(type="expect_column_values_to_match_regx"), "did you mean 'expect_column_values_to_match_regex'"),
        (
            Expectation(type="expect_column_values_to_be_unique"),
            "expect_column_values_to_be_unique: column: field required",
        ),
    ],
    ids=["type", "arguments"],
)
def test_a_mistake_in_params(expectation: Expectation, message: str) -> None:
    with pytest.raises(TidemillError, match=r"^validate\.expectations: ") as raised:
        check_texts(texts(), Validate(expectations=[expectation]))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_further_expectations_hold_for_every_split() -> None:
    short = Expectation(type="expect_column_value_lengths_to_be_between", kwargs={"column": "text", "max_value": 5})
    broken = check_texts(texts(), Validate(expectations=[short])).broken
    assert [line.split(":")[0] for line in broken] == ["train", "valid", "test"]


def test_every_expectation_the_library_offers_is_known() -> None:
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    offered = {name for name in list_registered_expectation_implementations() if name.startswith("expect_")}
    assert len(offered) > 50
    expect.check_types(Expectation(type=name) for name in offered)


def _text_table(start: int) -> pd.DataFrame:
    numbers = range(start, start + 40)
    return pd.DataFrame(
        {
            "id": [_id(number) for number in numbers],
            "text": [f"review {number}: 很好" for number in numbers],
            "label": ["good", "bad"] * 20,
            "row": [f"reviews.txt:{number + 1}" for number in numbers],
        }
    )


def _without_kwargs(line: str) -> str:
    return re.sub(r"\(.*?\): ", ": ", line)


def _id(number: int) -> str:
    return f"{number:016x}"
