"""Small DVC repositories and the command that runs them, for the tests of the flow."""

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

TIDEMILL = str(Path(sys.executable).with_name("tidemill"))
DVC = Path(sys.executable).with_name("dvc")
UNDER_PREFECT = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from flows import settings
settings.apply()
from flows.temporary_server import start_if_none_is_named
start_if_none_is_named()
from flows.pipeline import train
sys.exit(not train(return_state=True).is_completed())
"""
"""As the commands that search, retrain or monitor begin; `tidemill run` needs no Prefect where no server is named."""


class DvcRepository:
    """A Git and DVC repository in an empty folder, with stages that are one shell command each.

    `below` is the folder of DVC's part in that of Git's; `git=False` leaves Git out.
    """

    def __init__(self, folder: Path, environment: dict[str, str], git: bool = True, below: str = "") -> None:
        self.folder = folder
        self.environment = environment
        if git and not below:
            initialise(folder)
            return
        (folder / below).mkdir(parents=True, exist_ok=True)
        if git:
            self.command("git", "init", "--quiet")
        self.folder /= below
        self.command(str(DVC), "init", "--quiet", "--subdir" if git else "--no-scm")

    def stages(self, **stages: dict[str, Any]) -> None:
        """Write dvc.yaml."""
        self.write("dvc.yaml", yaml.safe_dump({"stages": stages}, sort_keys=False))

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def repro(self, *arguments: str) -> str:
        """Run plain `dvc repro`; return what it says."""
        return self.command(str(DVC), "--wait-for-lock", "repro", *arguments)

    def command(self, *command: str) -> str:
        run = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout + run.stderr

    def flow(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the flow to its end; both of its outputs are in `stdout`."""
        with self.start_flow(*arguments, **environment) as process:
            text, _ = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, text)

    def start_flow(self, *arguments: str, start_new_session: bool = False, **environment: str) -> subprocess.Popen[str]:
        return self._start([TIDEMILL, "run", *arguments], start_new_session, environment)

    def start_flow_under_prefect(self) -> subprocess.Popen[str]:
        """Start the flow as a run of Prefect's; where no server is named, with a temporary one of its own."""
        return self._start([sys.executable, "-c", UNDER_PREFECT])

    def _start(
        self, command: list[str], start_new_session: bool = False, environment: dict[str, str] | None = None
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self.environment, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=start_new_session,
        )


def initialise(folder: Path) -> None:
    """Make a folder what `git init` and `dvc init` make of it; the commands, seconds of a processor, run once a process."""
    kept = shutil.ignore_patterns(".dvcignore") if (folder / ".dvcignore").exists() else None  # as `dvc init` keeps it
    shutil.copytree(_initialised(), folder, ignore=kept, dirs_exist_ok=True)


@cache
def _initialised() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="initialised-"))
    for command in (["git", "init", "--quiet", "--initial-branch", "main"], [str(DVC), "init", "--quiet"]):
        subprocess.run(command, cwd=folder, env=quiet_environment(folder / ".dvc/tmp"), check=True)
    return folder


def quiet_environment(folder: Path) -> dict[str, str]:
    """Return an environment in which DVC, Prefect and MLflow touch nothing outside `folder`, nor the network."""
    # MLflow sets its variables itself when a test names a store; code that is not kept compiled slows every process
    outer = ("PREFECT_", "DVC_", "MLFLOW_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
    return kept | {
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(folder / "dvc-site-cache"),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "COLUMNS": "200",
    }
