"""How long a newcomer waits: set-up, fetch and pipeline in a fresh clone, then everything once more.

python benchmarks/first_run.py [--cold]
"""

import os
import platform
from typing import Annotated

import typer
from timing import fresh_clone, seconds, with_first_on_path


def main(cold: Annotated[bool, typer.Option(help="Fetch the raw data anew, past the user's cache.")] = False) -> None:
    """Print the seconds of each part."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with fresh_clone() as clone:
        environment = with_first_on_path(clone / ".venv" / "bin")
        if cold:
            environment["TIDEMILL_CACHE"] = str(clone.parent / "downloads")
        for name, command in {
            "install": ["make", "setup"],
            "fetch": [str(clone / ".venv/bin/tidemill"), "fetch"],
            "pipeline": [str(clone / ".venv/bin/tidemill"), "run"],
            "make run, once more": ["make", "run"],
        }.items():
            print(f"{name:24}{seconds(command, clone, environment):8.1f} s", flush=True)


if __name__ == "__main__":
    typer.run(main)
