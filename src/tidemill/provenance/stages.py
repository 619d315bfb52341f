"""Running the stages of a version again, from raw data to weights, and what DVC records of what they read and wrote."""

import subprocess
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tidemill.core.errors import TidemillError
from tidemill.core.params import read_yaml
from tidemill.provenance.sandbox import Sandbox
from tidemill.registry import lineage
from tidemill.repository.dvc import DVC, environment

STAGES = ("ingest", "validate", "tokenize", "train")
CHECK = "check"
AGAIN = ("--single-item", "--force", "--no-run-cache", "--no-commit")
"""Each stage runs though its output may be in a cache, and leaves nothing in the cache."""

Log = Callable[[str], None]


def run_again(folder: Path, system: str, device: str | None, log: Log, sandbox: Sandbox) -> dict[str, Any]:
    """Run the stages from ingest to train in a worktree.

    Args:
        device: what the version was trained on; on `cpu`, a GPU is hidden from the training.
        log: receives each line of their output.
        sandbox: where they run.

    Returns:
        Their entries of `dvc.lock`, with hashes of what was read and written this time.

    Raises:
        TidemillError: a stage failed.
    """
    addresses = [*_prerequisites(folder), *(f"{stage}@{system}" for stage in STAGES)]
    for number, address in enumerate(addresses, start=1):
        log(f"[{number}/{len(addresses)}] {address}")
        _run(folder, address, device, log, sandbox)
    return lineage.lock_entries(system, folder / lineage.LOCK)


def _prerequisites(folder: Path) -> list[str]:
    """Return what the stages of a system wait for: the check of all params, where the commit has that stage."""
    stages = read_yaml(folder / "dvc.yaml").get("stages", {})
    return [CHECK] if CHECK in stages else []


def _run(folder: Path, address: str, device: str | None, log: Log, sandbox: Sandbox) -> None:
    command = [*DVC, "--wait-for-lock", "repro", *AGAIN, address]
    last: deque[str] = deque(maxlen=1)
    with subprocess.Popen(
        sandbox.command(command, folder),
        cwd=folder,
        env={**_apart(folder, device), **sandbox.environment(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            if line.startswith(("epoch ", f"{address.partition('@')[2]}: ")):
                log(f"    {line.rstrip()}")
            if line.strip() and not line.startswith("ERROR: failed to reproduce"):
                last.append(line.strip())
    if process.returncode:
        raise TidemillError(f"{address} failed at that commit: {''.join(last) or f'exit code {process.returncode}'}")


def _apart(folder: Path, device: str | None) -> dict[str, str]:
    """Return the environment of the stages: the code of the worktree, and a tracking store inside it."""
    outer = ("MLFLOW_", "PREFECT__", "DVC_EXP", "TIDEMILL_FLOW")
    kept = {name: value for name, value in environment().items() if not name.startswith(outer)}
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    return kept | hidden | {"PYTHONPATH": str(folder.resolve() / "src"), "PYTHONUNBUFFERED": "1"}
