"""What is missing on this machine, and the fix. Reads files and runs other programs; imports none of the tools."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tidemill.core.errors import TidemillError
from tidemill.core.params import PARAMS_FILE
from tidemill.project.params import load_project
from tidemill.provenance.environment import LOCKS, pins, unlike_lock
from tidemill.tracking.store import without_password

SPACE_NEEDED = 5
"""GB: the environment, the data, and the outputs of a few runs."""


@dataclass(frozen=True)
class Check:
    """The outcome of one check."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    """What to type or do; empty where nothing is wrong."""
    needed: bool = True
    """Whether `tidemill run` fails without it."""


def checks() -> list[Check]:
    """Run every check, in the order in which their fixes should be made; run in the project's folder."""
    all_checks: list[Callable[[], Check]] = [
        python,
        environment,
        git,
        params,
        dvc_repository,
        dvc_remote,
        clients,
        data,
        disk,
        gpu,
        tracking_store,
    ]
    ports = [port("Prefect's page", "PREFECT_PORT", 4200), port("MLflow's page", "MLFLOW_PORT", 5000)]
    return [check() for check in all_checks] + ports


def python() -> Check:
    """Check that Python is 3.11 or newer."""
    found = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 11)
    return Check("Python", ok, found, "" if ok else "needs 3.11 or newer: make setup PYTHON=python3.11")


def environment() -> Check:
    """Check that each package is installed in its locked version."""
    folder = Path("requirements")
    if not all((folder / f"{lock}.lock").exists() for lock in LOCKS):
        return Check("environment", False, "requirements/*.lock not found", "run this in the project's folder")
    wrong, locked = unlike_lock(folder), len(pins(folder))
    if not locked:
        return Check("environment", False, "requirements/*.lock pin no package", "git restore requirements")
    detail = f"{len(wrong)} packages differ: {', '.join(wrong[:3])}" if wrong else f"{locked} packages as locked"
    return Check("environment", not wrong, detail, "make setup" if wrong else "")


def git() -> Check:
    """Check that git is here and tracks this folder: every model records its commit."""
    if shutil.which("git") is None:
        return Check("git", False, "not found", "install git")
    commit = _output("git", "rev-parse", "--short", "HEAD")
    return Check("git", bool(commit), f"at {commit}" if commit else "no commit here", "" if commit else "git clone …")


def params() -> Check:
    """Check that `params.yaml` holds no mistake."""
    try:
        systems = load_project().systems
    except TidemillError as error:
        return Check("params", False, str(error), f"correct {PARAMS_FILE}")
    return Check("params", True, f"systems: {', '.join(systems)}")


def dvc_repository() -> Check:
    """Check that DVC's folder is beside `dvc.yaml`."""
    ok = Path(".dvc/config").exists() and Path("dvc.yaml").exists()
    return Check(
        "DVC",
        ok,
        "dvc.yaml, .dvc" if ok else "dvc.yaml or .dvc is missing",
        "" if ok else "git restore dvc.yaml .dvc/config",
    )


def dvc_remote() -> Check:
    """Check for a remote to push data to and pull it from; a run needs none."""
    names = _output("dvc", "remote", "list") if _installed("dvc") else ""
    detail = ", ".join(line.split()[0] for line in names.splitlines()) or "none set"
    return Check(
        "DVC remote", bool(names), detail, "" if names else "dvc remote add --default NAME ADDRESS", needed=False
    )


def clients() -> Check:
    """Check for the clients that sources in `params.yaml` are fetched through."""
    text = _read(PARAMS_FILE) if PARAMS_FILE.exists() else ""
    wanted = [program for scheme, program in (("npm:", "npm"), ("deb:", "apt-get")) if scheme in text]
    missing = [program for program in wanted if shutil.which(program) is None]
    detail = f"missing: {', '.join(missing)}" if missing else ", ".join(["pip", *wanted])
    fix = f"install {', '.join(missing)}, or set another address in {PARAMS_FILE}" if missing else ""
    return Check("fetching", not missing, detail, fix, needed=not _data_is_here())


def data() -> Check:
    """Check that `data/` is what `data.dvc` pins."""
    if not _data_is_here():
        return Check("data", False, "not here yet", "tidemill fetch")
    changed = "data.dvc" in _output("dvc", "status", "data.dvc", "--json")
    detail = "differs from data.dvc" if changed else "as data.dvc pins it"
    return Check("data", not changed, detail, "tidemill fetch, or `dvc add data` to keep the change" if changed else "")


def disk() -> Check:
    """Check that there is room for the outputs."""
    free = shutil.disk_usage(".").free / 1e9
    ok = free >= SPACE_NEEDED
    return Check(
        "disk", ok, f"{free:.0f} GB free", "" if ok else f"free {SPACE_NEEDED} GB; `tidemill gc` drops old outputs"
    )


def gpu() -> Check:
    """Check for a GPU and, if there is one, for a torch that can use it."""
    cards = _output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    build = _installed("torch")
    if not cards:
        return Check("GPU", True, f"none; torch {build or 'not installed'} runs on the CPU", needed=False)
    ok = bool(build) and "+cpu" not in build
    fix = "" if ok else "rm -rf .venv && make setup, for the build of torch with CUDA"
    return Check("GPU", ok, f"{'; '.join(cards.splitlines())}; torch {build}", fix, needed=False)


def tracking_store() -> Check:
    """Check the MLflow store: the project's own SQLite file, or the one that `MLFLOW_TRACKING_URI` names."""
    address = os.environ.get("MLFLOW_TRACKING_URI", "")
    if address.startswith("http"):
        ok = _responds(f"{address.rstrip('/')}/health")
        named = without_password(address)
        return Check("MLflow store", ok, named, "" if ok else "start that server, or unset MLFLOW_TRACKING_URI")
    ok = os.access(".tidemill" if Path(".tidemill").exists() else ".", os.W_OK)
    detail = without_password(address) if address else ".tidemill/mlflow"
    return Check("MLflow store", ok, detail, "" if ok else "make .tidemill writable")


def port(name: str, variable: str, usual: int) -> Check:
    """Check a port of `make ui`: free, or served already; both are fine."""
    number = int(os.environ.get(variable, usual))
    with socket.socket() as connection:
        connection.settimeout(1)
        served = connection.connect_ex(("127.0.0.1", number)) == 0
    detail = f"port {number} " + ("is served" if served else "is free: `make ui` starts it")
    return Check(name, True, detail, needed=False)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _data_is_here() -> bool:
    return Path("data").is_dir() and any(Path("data").iterdir())


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _output(*command: str) -> str:
    """Return what a program prints, or nothing where it fails or is missing; this environment's programs come first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True, env={**os.environ, "PATH": path}
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _responds(address: str) -> bool:
    try:
        with urlopen(address, timeout=5):
            return True
    except (URLError, OSError, ValueError):
        return False
