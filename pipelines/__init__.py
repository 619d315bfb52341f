"""The six stages, one module each: read params, call `tidemill`, write the files that `dvc.yaml` names."""

import sys
from collections.abc import Callable
from pathlib import Path

try:
    from tidemill.core.errors import TidemillError
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is not installed here: `source .venv/bin/activate` (after `make setup`), then run it again")


def stage(run: Callable[[str], None]) -> Callable[[], None]:
    """Make a stage's command line: it takes the name of a system, and bad input ends it with one line and exit code 1."""

    def main() -> None:
        if len(sys.argv) != 2:
            module = run.__module__ if run.__module__ != "__main__" else "pipelines.<stage>"
            sys.exit(f"usage: python -m {module} SYSTEM")
        try:
            run(sys.argv[1])
        except TidemillError as error:
            sys.exit(f"{sys.argv[1]}: {error}")
        except OSError as error:
            sys.exit(f"{sys.argv[1]}: {error.strerror or error} {error.filename or ''}".rstrip())

    return main


def artifacts(system: str, stage_name: str) -> Path:
    """Return the folder of one stage's outputs."""
    return Path("artifacts") / system / stage_name
