"""The table of faults in the reference lists exactly those that exist."""

import re
from pathlib import Path

from tests.fault.faults import FAULTS, PAGE, outcomes, page, seen

TESTS = Path(__file__).parents[1]
UNDISTURBED = {
    "fault/test_training_killed.py::test_the_same_training_twice_gives_the_same_files",
    "fault/test_training_killed.py::test_a_checkpoint_of_another_training_is_not_resumed",
}
"""Tests beside those of a fault, of what it is compared with."""
NO_FAULTS = {"test_faults_table.py", "test_service_under_load.py"}
"""Modules of this folder whose tests make none: more requests than a service can do are its daily bread."""


def functions(file: Path) -> set[str]:
    return {f"{file.relative_to(TESTS)}::{name}" for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)}


def test_every_fault_has_its_tests_and_every_test_its_fault() -> None:
    named = {test for fault in FAULTS for test in fault.tests}
    assert named <= {test for file in {TESTS / test.split("::")[0] for test in named} for test in functions(file)}
    modules = [file for file in (TESTS / "fault").glob("test_*.py") if file.name not in NO_FAULTS]
    assert {test for file in modules for test in functions(file)} - UNDISTURBED == {
        test for test in named if test.startswith("fault/")
    }


def test_the_page_lists_exactly_the_faults() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(seen(text)), "python -m pytest tests/fault/test_faults_table.py --faults-table writes it"
    assert "NOT HELD" not in text


def test_what_was_run_is_told() -> None:
    fault = FAULTS[0]
    (test,) = fault.tests
    key = fault.name, fault.hits
    assert outcomes({test: ["passed", "skipped", "passed"]}) == {key: "2 of 3 points"}
    assert outcomes({test: ["passed", "failed"]}) == {key: "NOT HELD"}
    assert outcomes({}) == {} and seen(page({key: "2 of 3 points"}))[key] == "2 of 3 points"
