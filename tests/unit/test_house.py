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
PACKAGE = ROOT / "src" / "tidemill"
BY_NAME = {"core/plugins.py"}
"""Modules that may import a module by its name."""
CLIMBS = {"tracking/store.py"}
"""Where `.parents[2]` is no way out of the package: from a copy that DVC makes of a project, to the project itself."""
GETATTR = {
    "cli/formatting.py": "one of several lists of a dataclass, by the name that is also printed",
    "registry/guard/subjects.py": "a field that only some of MLflow's messages have, as MLflow itself reads it",
    "rows/splitting.py": "a split's share, a param named as the split is",
    "sweeping/report.py": "a plot of Optuna's, by its name",
    "training/memory.py": "a function of the C library, which not every one has",
    "training/utilisation.py": "the cost of a token, which only networks of tokens can name",
}
"""Modules that look an attribute up by name, and of what; never a part of a task or model, which all have."""
LINES_OF_DVC_YAML = 120


@pytest.mark.parametrize(
    "code",
    [
        "import tidemill",
        "import tidemill.core.params, tidemill.core.files, tidemill.core.plugins, tidemill.core.spec",
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


def test_reading_all_params_loads_no_more_than_tables() -> None:
    code = "from tidemill.project.params import load_project; load_project()"
    tail = "\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + tail], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert loaded & HEAVY <= {"pandas"}


def test_imports_run_one_way() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--config", "pyproject.toml", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_modules_are_imported_by_name_in_one_place() -> None:
    found = {
        name
        for name, tree in _trees(PACKAGE).items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute | ast.alias)
        and _last_name(node) in ("import_module", "__import__", "run_module", "spec_from_file_location")
    }
    assert found == BY_NAME


def test_no_module_climbs_out_of_the_package() -> None:
    found = {
        name
        for name, tree in _trees(PACKAGE).items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "parents"
        if not (isinstance(node.slice, ast.Constant) and node.slice.value in (0, 1))
    }
    assert found == CLIMBS


def test_no_module_starts_a_stage_or_flow_as_a_program() -> None:
    """They are imported, by the rooms that may, or run by DVC."""
    for name, tree in _trees(PACKAGE).items():
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _starts_a_process(node)]
        texts = [
            node.value
            for call in calls
            for node in ast.walk(call)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        assert [text for text in texts if re.search(r"\b(?:pipelines|flows)\b", text)] == [], name
        if calls:  # a command may stand in a name of the module
            constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Assign)]
            commands = [ast.unparse(value) for value in constants if isinstance(value, ast.Tuple | ast.List)]
            assert [text for text in commands if re.search(r"\b(?:pipelines|flows)\b", text)] == [], name


@pytest.mark.parametrize("pattern", ["*/__init__.py", "*/*/__init__.py"])
def test_a_room_holds_nothing_itself(pattern: str) -> None:
    """What `__init__.py` imports or defines would be a dependency of each stage that reads any module of the room."""
    for path in sorted(PACKAGE.glob(pattern)):
        name = path.relative_to(PACKAGE).as_posix()
        if name == "cli/__init__.py" or (name.startswith("models/") and name.count("/") == 2):
            continue  # the program, which no stage reads; and the params of a model
        (docstring,) = ast.parse(path.read_bytes()).body
        assert isinstance(docstring, ast.Expr) and isinstance(docstring.value, ast.Constant), name


def test_a_models_package_holds_its_params_alone() -> None:
    for path in sorted(PACKAGE.glob("models/*/__init__.py")):
        body = ast.parse(path.read_bytes()).body
        defined = {node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        assert defined <= {"Params"}, path
        assert bool(defined) == (path.parent.name != "common"), path


def test_dvc_yaml_can_be_read_in_one_go() -> None:
    assert len((ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()) <= LINES_OF_DVC_YAML


def test_no_part_is_looked_up_by_chance() -> None:
    """A task or model has every name of its protocol, None where there is nothing: no `hasattr`, no literal `getattr`."""
    calls = {
        (name, node.func.id)
        for name, tree in _trees(PACKAGE).items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("hasattr", "getattr")
    }
    assert [name for name, function in calls if function == "hasattr"] == []
    assert {name for name, _ in calls} == set(GETATTR)
    assert not [name for name in GETATTR if name.startswith(("tasks/", "models/", "inference/"))]


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


def _trees(folder: Path) -> dict[str, ast.Module]:
    """The modules of a package, by their paths in it."""
    return {path.relative_to(folder).as_posix(): ast.parse(path.read_bytes()) for path in sorted(folder.rglob("*.py"))}


def _last_name(node: ast.Name | ast.Attribute | ast.alias) -> str:
    """`import_module`, of `importlib.import_module`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else node.name


def _starts_a_process(call: ast.Call) -> bool:
    starts = ("run", "Popen", "call", "check_call", "check_output", "system", "execv", "execvp", "spawnv")
    function = call.func
    if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
        return False
    return function.value.id in ("subprocess", "os") and function.attr in starts


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
