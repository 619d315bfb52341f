"""The documentation holds: links lead somewhere, examples fit the code, the site is built from the pages alone."""

import copy
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from tests.projects import ROOT
from tidemill.project import reference, schema

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / ".github").rglob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "benchmarks/README.md",
    ]
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
RECIPES = "CONTRIBUTING.md"
"""Its examples name plug-ins that the recipes add; the test of the recipes runs them."""
PLACEHOLDER = "…"
NO_ATTACKS = {
    "test_an_older_log_is_told_and_not_broken_and_goes_on_signed",
    "test_who_decides_through_sigstore_needs_no_key",
    "test_a_wrong_password_is_one_line",
    "test_the_page_asks_for_the_password",
    "test_aliases_of_a_usual_size_are_read",
    "test_the_named_formats_are_read",
    "test_where_it_does_not_work_that_is_said",
    "test_packages_without_weaknesses_pass_and_are_not_looked_up_again_that_day",
    "test_its_own_page_is_not",
    "test_the_least_options_are_answered",
    "test_a_version_of_before_verifies_and_says_what_it_lacks",
    "test_a_champion_of_before_serves_and_is_compared_by_predicting_anew",
    "test_an_older_version_loads_is_shown_and_compared_and_says_that_only_its_model_is_signed",
}
"""Tests beside those of attacks: of what is still allowed, and of what is said."""
"""Where an example leaves something for the reader to fill in."""


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(_prose(page)) if not re.match(r"[a-z]+:", link)]
    broken = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`((?:src|docs|tests|flows|pipelines|benchmarks|scripts|requirements)/[\w./-]+)`", _prose(page))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_attack_has_a_test_and_every_test_its_attack() -> None:
    page = (ROOT / "docs/reference/attacks.md").read_text(encoding="utf-8")
    parts = re.findall(r"## .*?`(\S+)`\n(.*?)(?=\n## |\Z)", page, re.DOTALL)
    named = {file: set(re.findall(r"`(test_\w+)`", part)) for file, part in parts}
    found = {file: _tests(file) for file in named}
    assert {file: tests - found[file] for file, tests in named.items() if tests - found[file]} == {}
    attacks = {str(path.relative_to(ROOT)) for path in (ROOT / "tests/security").glob("test_*.py")}
    assert {file: rest for file in attacks if (rest := _tests(file) - named.get(file, set()) - NO_ATTACKS)} == {}


def _tests(file: str) -> set[str]:
    return set(re.findall(r"^def (test_\w+)", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE))


def test_every_example_of_params_fits_the_schema() -> None:
    shipped = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    validator = Draft202012Validator(schema.schema())
    examples = [example for page in PAGES if page.name != RECIPES for example in _params_examples(page)]
    assert len(examples) >= 6
    for example in examples:
        whole = {"systems": {"digits": example}} if "gates" in example else example
        params = _merged(copy.deepcopy(shipped), whole)
        wrong = [error.message for error in validator.iter_errors(params) if PLACEHOLDER not in str(error.instance)]
        assert wrong == [], example


def test_the_walk_of_a_record_names_functions_that_are_there() -> None:
    _, walk = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8").split("## The way of one record")
    tables = [re.findall(r"^\| (\w+) \| (.+?) \|", part, re.MULTILINE)[1:] for part in walk.split("\n### ")[1:]]
    assert len(tables) == 2
    for table in tables:
        rooms = [room for room, _ in table]
        assert len(rooms) == len(set(rooms)) <= 8
        for name in re.findall(r"`([\w.]+)`", " ".join(functions for _, functions in table)):
            assert callable(_resolved(f"tidemill.{name}")), name


def test_every_dependency_has_a_maintainer_and_a_replacement() -> None:
    _, table = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").split("what would replace them\n")
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")][2:]
    assert all(len(row) == 3 and all(row) for row in rows)
    named = [name.strip() for row in rows for name in row[0].split(",")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = project["dependencies"] + project["optional-dependencies"]["dev"]
    assert sorted(named) == sorted({re.split(r"[\[=<>; ]", line)[0] for line in asked})


def test_the_site_is_built_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copyfile(ROOT / "properdocs.yml", tmp_path / "properdocs.yml")
    command = [sys.executable, "-m", "properdocs", "build", "--strict", "--site-dir", "site"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "site"
    pages = {page.relative_to(site).with_suffix(".md") for page in site.rglob("*.html")}
    assert pages >= {page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")}
    loaded = re.compile(
        r"""(?:<(?:script|img|iframe)[^>]*\ssrc|<link[^>]*\shref)=["']?(?:https?:)?//|@import|url\(["']?(?:https?:)?//"""
    )
    sheets = [file for ending in ("html", "css") for file in site.rglob(f"*.{ending}")]
    assert [file.name for file in sheets if loaded.search(file.read_text(encoding="utf-8"))] == []


def _prose(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def _anchors(page: Path) -> set[str]:
    if page.suffix != ".md":
        return set()
    headings = re.findall(r"^#+ (.+)$", _prose(page), re.MULTILINE)
    return {reference._anchor(heading.replace("`", "")) for heading in headings}


def _params_examples(page: Path) -> list[dict[str, Any]]:
    blocks = re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    found = [YAML(typ="safe").load(block) for block in blocks]
    return [block for block in found if isinstance(block, dict) and {"systems", "sources", "gates"} & block.keys()]


def _merged(into: Any, other: Any) -> Any:
    if not (isinstance(into, dict) and isinstance(other, dict)):
        return other
    return into | {name: _merged(into.get(name), value) for name, value in other.items()}


def _resolved(name: str) -> Any:
    """The module, class or function of a dotted name."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise AssertionError(f"no module of {name}")
