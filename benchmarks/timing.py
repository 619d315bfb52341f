"""What the benchmarks share: a fresh clone, the wall time of a command, and how figures are shown."""

import os
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]


@contextmanager
def fresh_clone() -> Iterator[Path]:
    """A clone of the project as it is committed, in a temporary folder."""
    with TemporaryDirectory() as folder:
        clone = Path(folder) / "tidemill"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        yield clone


def seconds(command: Sequence[str], folder: Path, environment: dict[str, str]) -> float:
    """Wall time of a command that must succeed; what it says is shown if it does not."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return time.perf_counter() - start


def with_first_on_path(folder: Path) -> dict[str, str]:
    """The environment of this process, in which a folder's programs come before all others."""
    return os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def show(name: str, values: Sequence[float]) -> None:
    """Print median, smallest and largest."""
    print(f"{name:24} median {statistics.median(values):8.2f}  ({min(values):.2f} to {max(values):.2f})", flush=True)
