"""Running the stages of a version again, from raw data to weights, and what DVC then says that they read and wrote."""

import subprocess
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tidemill.errors import TidemillError
from tidemill.provenance.storage import DVC, environment
from tidemill.registry import lineage

STAGES = ("ingest", "validate", "tokenize", "train")
AGAIN = ("--single-item", "--force", "--no-run-cache", "--no-commit")
"""Each stage runs though its output may be in a cache, and leaves nothing in the cache."""

Tell = Callable[[str], None]


def run_again(folder: Path, system: str, device: str | None, tell: Tell) -> dict[str, Any]:
    """Run the stages from ingest to train in a worktree.

    Args:
        device: what the version was trained on; on `cpu`, a GPU is hidden from the training.
        tell: gets each line of their output.

    Returns:
        Their entries of `dvc.lock`, with hashes of what was read and written this time.

    Raises:
        TidemillError: a stage failed.
    """
    for number, stage in enumerate(STAGES, start=1):
        tell(f"[{number}/{len(STAGES)}] {stage}@{system}")
        _run(folder, f"{stage}@{system}", device, tell)
    return lineage.lock_entries(system, folder / lineage.LOCK)


def _run(folder: Path, address: str, device: str | None, tell: Tell) -> None:
    command = [*DVC, "--wait-for-lock", "repro", *AGAIN, address]
    last: deque[str] = deque(maxlen=1)
    with subprocess.Popen(
        command,
        cwd=folder,
        env=_apart(folder, device),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            if line.startswith(("epoch ", f"{address.partition('@')[2]}: ")):
                tell(f"    {line.rstrip()}")
            if line.strip() and not line.startswith("ERROR: failed to reproduce"):
                last.append(line.strip())
    if process.returncode:
        raise TidemillError(f"{address} failed at that commit: {''.join(last) or f'exit code {process.returncode}'}")


def _apart(folder: Path, device: str | None) -> dict[str, str]:
    """The environment of the stages: code of the worktree, and a tracking store that goes with it."""
    outer = ("MLFLOW_", "PREFECT__", "DVC_EXP", "TIDEMILL_FLOW")
    kept = {name: value for name, value in environment().items() if not name.startswith(outer)}
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    return kept | hidden | {"PYTHONPATH": str(folder.resolve() / "src"), "PYTHONUNBUFFERED": "1"}
