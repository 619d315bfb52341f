"""Great Expectations on pandas tables: which rows break which expectation, in the same bytes on every run.

Only the validate stage imports this module: importing Great Expectations takes seconds.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tidemill.core.errors import TidemillError
from tidemill.validation.expectations import check_types
from tidemill.validation.params import Expectation

os.environ["GX_ANALYTICS_ENABLED"] = "False"  # read once, when the library is imported

import great_expectations as gx
from great_expectations.compatibility.pydantic import ValidationError
from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.data_context import EphemeralDataContext
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.exceptions import ExpectationNotFoundError
from great_expectations.expectations.expectation import ColumnAggregateExpectation, render_suite_parameter_string
from great_expectations.expectations.registry import get_expectation_impl
from great_expectations.render import LegacyRendererType, RenderedStringTemplateContent
from great_expectations.render.renderer.renderer import renderer

ROWS_NAMED = 20
"""Rows listed with their values for a broken expectation."""
LONGEST_VALUE = 200
"""Characters shown of a value; the id leads to the rest."""
SPLITS = "splits"
"""Name of the table of the rows of all splits, for what must hold across them."""


class ExpectColumnValueSharesToBeAtLeast(ColumnAggregateExpectation):
    """Each value of a set occurs in at least this share of the rows that have a value."""

    value_set: list[str]
    minimum: float
    metric_dependencies = ("column.value_counts",)
    success_keys = ("value_set", "minimum")

    def _validate(
        self, metrics: dict[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> dict[str, Any]:
        counts = metrics["column.value_counts"].reindex(self.value_set, fill_value=0)
        shares = counts / max(counts.sum(), 1)
        rare: dict[str, float] = shares[shares < self.minimum].round(6).to_dict()
        return {"success": not rare, "result": {"observed_value": rare or round(float(shares.min()), 6)}}

    @classmethod
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)
    @render_suite_parameter_string
    def _prescriptive_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None
    ) -> list[RenderedStringTemplateContent]:
        template = {"template": "each label must have a share of at least $minimum.", "params": configuration.kwargs}
        return [RenderedStringTemplateContent(content_block_type="string_template", string_template=template)]


@dataclass(frozen=True)
class Validation:
    """The results for programs (`summary`), for people (`broken`), and for the pages (`results`)."""

    summary: dict[str, Any]
    broken: list[str]
    """A line for each broken expectation: table, expectation, count, row ids with values."""
    results: dict[str, ExpectationSuiteValidationResult]

    @property
    def success(self) -> bool:
        return not self.broken

    @property
    def checked(self) -> int:
        """The number of expectations checked, over all tables."""
        return sum(len(entries) for entries in self.summary["tables"].values())


def validate(tables: dict[str, pd.DataFrame], expectations: Sequence[Expectation]) -> Validation:
    """Check each split against the expectations, and that no row is in two splits.

    Args:
        tables: the rows by split, each with an `id` by which it is reported.
        expectations: what must hold for each split.

    Raises:
        TidemillError: there is no such expectation, or it does not take its arguments.
    """
    check_types(expectations)
    context = _context()
    once = [Expectation(type="expect_column_values_to_be_unique", kwargs={"column": "id"})]
    results = {name: _run(context, name, rows, expectations) for name, rows in tables.items()}
    results[SPLITS] = _run(context, SPLITS, _all_ids(tables), once)
    return _validation({name: len(rows) for name, rows in tables.items()}, results)


def _context() -> EphemeralDataContext:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _all_ids(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the ids of all splits, sorted, so that copies are listed next to each other."""
    ids = [rows.reindex(columns=["id"]).assign(split=name) for name, rows in tables.items()]
    return pd.concat(ids).sort_values("id", kind="stable")


def _run(
    context: EphemeralDataContext, name: str, rows: pd.DataFrame, expectations: Sequence[Expectation]
) -> ExpectationSuiteValidationResult:
    suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=[_built(e) for e in expectations]))
    batch = context.data_sources.add_pandas(name).add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
    definition = gx.ValidationDefinition(name=name, data=batch, suite=suite)
    id_columns = [column for column in ("id", "split") if column in rows]
    return definition.run(
        batch_parameters={"dataframe": rows.reset_index(drop=True)},
        result_format={
            "result_format": "SUMMARY",
            "unexpected_index_column_names": id_columns,
            "partial_unexpected_count": ROWS_NAMED,
        },
    )


def _built(expectation: Expectation) -> Any:
    try:
        return get_expectation_impl(expectation.type)(**expectation.kwargs)
    except ValidationError as error:
        mistakes = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise TidemillError(f"validate.expectations: {expectation.type}: {mistakes}") from error
    except ExpectationNotFoundError as error:
        raise TidemillError(f"validate.expectations: {expectation.type} is no longer offered") from error


def _validation(rows: dict[str, int], results: dict[str, ExpectationSuiteValidationResult]) -> Validation:
    tables = {name: [_entry(one) for one in result.to_json_dict()["results"]] for name, result in results.items()}
    for entries in tables.values():
        entries.sort(key=lambda entry: (entry["expectation"], str(entry["kwargs"])))
    broken = [_line(name, entry) for name, entries in tables.items() for entry in entries if not entry["success"]]
    return Validation({"success": not broken, "rows": rows, "tables": tables}, broken, results)


def _entry(one: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a result that is the same on every run."""
    config, result = one["expectation_config"], one["result"]
    entry = {
        "expectation": config["type"],
        "kwargs": {name: value for name, value in config["kwargs"].items() if name != "batch_id"},
        "success": one["success"],
        "rows": result.get("element_count"),
        "unexpected": result.get("unexpected_count"),
        "observed": result.get("observed_value"),
        "error": _error(one["exception_info"]),
        "examples": [] if one["success"] else _examples(result),
    }
    return {name: value for name, value in entry.items() if value is not None}


def _examples(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: _clipped(v) for name, v in row.items()} for row in result.get("partial_unexpected_index_list") or []]


def _clipped(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return value[:LONGEST_VALUE] + "…"
    return None if value != value else value  # NaN is not JSON


def _error(info: dict[str, Any]) -> str | None:
    """Return the message of an error; the library groups errors by metric where several failed."""
    infos = [info] if "raised_exception" in info else list(info.values())
    messages = sorted({str(one["exception_message"]) for one in infos if one["raised_exception"]})
    return "; ".join(messages) or None


def _line(table: str, entry: dict[str, Any]) -> str:
    kwargs = ", ".join(f"{name}={value!r}" for name, value in entry["kwargs"].items())
    what = f"{table}: {entry['expectation']}({_shortened(kwargs)})"
    if "error" in entry:
        return f"{what}: {entry['error']}"
    if "unexpected" not in entry:
        return f"{what}: observed {entry.get('observed')!r}"
    rows = "; ".join(_row(example) for example in entry["examples"])
    return f"{what}: {entry['unexpected']:,} of {entry['rows']:,} rows: {rows}"


def _row(example: dict[str, Any]) -> str:
    values = ", ".join(f"{name}={_shortened(repr(v))}" for name, v in example.items() if name != "id")
    return f"{example.get('id')} {values}".strip()


def _shortened(text: str, longest: int = 80) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
