"""The house holds: light imports, one way between rooms, a locked environment, no dependency without a reason."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tidemill.cli import doctor
from tidemill.provenance import environment

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "mlflow", "prefect", "pytorch_lightning", "transformers", "great_expectations", "pandas", "dvc"}
CODE = ("src", "flows", "pipelines")
OURS = {"tidemill", "flows", "pipelines", "tests", "benchmarks"}


@pytest.mark.parametrize(
    "code",
    [
        "import tidemill",
        "import tidemill.config, tidemill.files",
        "import tidemill.cli, contextlib\nwith contextlib.suppress(SystemExit): tidemill.cli.app(['--help'])",
    ],
    ids=["package", "params", "help"],
)
def test_a_light_path_loads_nothing_heavy(code: str) -> None:
    tail = "\nimport sys, json\nprint()\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert "tidemill" in loaded
    assert loaded & HEAVY == set()


def test_imports_run_one_way() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--config", "pyproject.toml", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("lock", ["uv", "torch", "cuda", "base"])
def test_every_locked_package_is_pinned_and_hashed(lock: str) -> None:
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements" / f"{lock}.lock").read_text(encoding="utf-8").strip())
    assert [block for block in blocks if not re.match(r"[\w.-]+==[\w.+]+[ \\]", block)] == []
    assert [block for block in blocks if not re.search(r"--hash=sha256:[0-9a-f]{64}$", block)] == []


def test_the_locks_meet_what_the_project_asks_for() -> None:
    locked = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", _locks(), re.MULTILINE))
    unmet = [str(r) for r in _requirements() if not r.specifier.contains(locked.get(r.name, "0"))]
    assert unmet == []


def test_no_lock_that_uv_reads_holds_torch() -> None:
    """It would change the CPU build for the one with CUDA."""
    base = (ROOT / "requirements" / "base.lock").read_text(encoding="utf-8")
    assert re.findall(r"^(?:torch|nvidia-[\w-]+|triton)==.*", base, re.MULTILINE) == []


def test_every_dependency_has_its_reason() -> None:
    names = {name.strip() for cells in _tables().values() for row in cells for name in row[0].split(",")}
    assert names == {requirement.name for requirement in _requirements()}


def test_every_dependency_said_to_be_imported_is() -> None:
    said = {row[1].strip("`") for row in _tables()["Imported"]}
    assert said - _imported(*CODE) == set()


def test_every_import_is_declared() -> None:
    said = {row[1].strip("`") for row in _tables()["Imported"]}
    assert _imported(*CODE) - set(sys.stdlib_module_names) - OURS - said == set()


def test_the_environment_is_the_locked_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    check = doctor.environment()
    assert check.ok, check.detail
    assert int(check.detail.split()[0]) == len(environment.pins(ROOT / "requirements")) > 200


def test_the_doctor_names_a_fix_for_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    checks = doctor.checks()
    missing = {check.name for check in checks if not check.ok}
    assert missing >= {"environment", "git", "params", "DVC", "DVC remote", "data", "MLflow store"}
    assert [check.name for check in checks if bool(check.fix) == check.ok] == []
    assert "secret" not in str(checks)


def _requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["dev"]]


def _locks() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "requirements").glob("*.lock")))


def _tables() -> dict[str, list[list[str]]]:
    """Rows of the tables of docs/dependencies.md, by their heading."""
    _, *sections = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").split("\n## ")
    rows = {section.split("\n")[0]: re.findall(r"^\| (.+) \|$", section, re.MULTILINE)[2:] for section in sections}
    return {heading: [[cell.strip() for cell in row.split(" | ")] for row in lines] for heading, lines in rows.items()}


def _imported(*folders: str) -> set[str]:
    """Top-level names of all modules imported anywhere in the code, inside functions too."""
    trees = [ast.parse(path.read_bytes()) for folder in folders for path in (ROOT / folder).rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.split(".")[0] for name in plain | named}
