"""Data Docs: the pages that Great Expectations renders from its results, made to open without a network.

The library's own page loads styles and scripts from other machines, contains times and random ids, and inserts values of
the data as HTML. We keep its sections and put a page of our own around them (`data_docs.html.j2`), which is
self-contained, the same on every run, and shows values as text.
"""

import copy
import html
from itertools import count
from pathlib import Path
from typing import Any

from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.render.renderer import ValidationResultsPageRenderer
from great_expectations.render.view import DefaultJinjaPageView


class OfflinePageView(DefaultJinjaPageView):
    """The library's view with our page around its sections."""

    _template = "data_docs.html.j2"

    def __init__(self) -> None:
        super().__init__(custom_views_directory=str(Path(__file__).parent))
        ids = count()
        self.env.filters["generate_html_element_uuid"] = lambda prefix="": f"{prefix}{next(ids)}"


def write_data_docs(folder: Path, results: dict[str, ExpectationSuiteValidationResult]) -> None:
    """Write one page for each table (`train.html`, …); `index.html` is the first one with a broken expectation."""
    folder.mkdir(parents=True)
    for name, result in results.items():
        (folder / f"{name}.html").write_text(_page(name, result, list(results)), encoding="utf-8")
    first = next((name for name, result in results.items() if not result.success), next(iter(results)))
    (folder / "index.html").write_bytes((folder / f"{first}.html").read_bytes())


def _page(name: str, result: ExpectationSuiteValidationResult, tables: list[str]) -> str:
    document = ValidationResultsPageRenderer().render(_escaped(result))
    overview = document.sections[0]
    for section in document.sections:
        _escape_heading(section)
    overview.content_blocks = [block for block in overview.content_blocks if block.content_block_type == "table"]
    view: DefaultJinjaPageView = OfflinePageView()
    return str(view.render(document, title=f"Expectations of {name}", tables=tables))


def _escape_heading(section: Any) -> None:
    """Show the name of a column, which heads its section, as text: the library escapes it in its tables only."""
    for block in section.content_blocks:
        if block.content_block_type == "header":
            heading = block.header.string_template
            heading["template"] = html.escape(heading["template"])


def _escaped(result: ExpectationSuiteValidationResult) -> ExpectationSuiteValidationResult:
    """Return a copy in which values of the data hold no markup: the library inserts them into its tables as they are."""
    escaped = copy.deepcopy(result)
    for one in escaped.results:
        one.result, one.exception_info = _escaped_strings(one.result), _escaped_strings(one.exception_info)
        if one.expectation_config is not None and one.expectation_config.description is not None:
            one.expectation_config.description = html.escape(one.expectation_config.description)
        one.result["unexpected_index_list"] = one.result.get(
            "partial_unexpected_index_list"
        )  # otherwise the page lists no ids
    return escaped


def _escaped_strings(value: Any) -> Any:
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, dict):
        return {_escaped_strings(name): _escaped_strings(inner) for name, inner in value.items()}
    return [_escaped_strings(inner) for inner in value] if isinstance(value, list) else value
