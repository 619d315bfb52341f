"""The six stages. Each module reads params, calls `tidemill`, and writes the files that `dvc.yaml` names."""

import sys
from collections.abc import Callable
from pathlib import Path

try:
    from tidemill.errors import TidemillError
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is not installed here: `source .venv/bin/activate` (after `make setup`), then run it again")


def stage(run: Callable[[str], None]) -> Callable[[], None]:
    """A command line for a stage: one system's name in; one clear line and exit code 1 when its input is bad."""

    def main() -> None:
        if len(sys.argv) != 2:
            sys.exit(
                f"usage: python -m {run.__module__ if run.__module__ != '__main__' else 'pipelines.<stage>'} SYSTEM"
            )
        try:
            run(sys.argv[1])
        except TidemillError as error:
            sys.exit(f"{sys.argv[1]}: {error}")
        except OSError as error:
            sys.exit(f"{sys.argv[1]}: {error.strerror or error} {error.filename or ''}".rstrip())

    return main


def artifacts(system: str, stage_name: str) -> Path:
    """The folder of one stage's outputs."""
    return Path("artifacts") / system / stage_name
