"""The raw data as DVC knows it: `data.dvc` pins `data/`, DVC's cache keeps its bytes."""

import subprocess
import sys
from pathlib import Path


def keep(data: Path) -> None:
    """Put `data/` into DVC's cache if it is what `data.dvc` beside it pins; if not, say so and leave the pin alone.

    Without it, DVC would report fetched data as missing from its cache, and could not push it.
    """
    pin = data.with_suffix(".dvc")
    if not pin.is_file():
        return
    done = subprocess.run(  # without --force, DVC takes only bytes that have the pinned hash
        [sys.executable, "-m", "dvc", "--wait-for-lock", "commit", "--quiet", pin.name],
        cwd=pin.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(
            f"{data} is not as {pin} pins it: `dvc status {pin}` tells more, `dvc add {data}` pins it anew", flush=True
        )
