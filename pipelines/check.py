"""`params.yaml` → the assurance that every param is known, typed and fits the others; all other stages wait for it."""

import sys
from pathlib import Path

from tidemill.core.errors import TidemillError
from tidemill.core.files import finished_file
from tidemill.project.params import load_project

CHECKED = Path("artifacts/params-checked")
"""Its content never changes, so a change of params reruns only the stages that read the changed param."""


def main() -> None:
    """Name every mistake in `params.yaml` before any work starts."""
    try:
        load_project()
    except TidemillError as error:
        sys.exit(str(error))
    with finished_file(CHECKED) as partial:
        partial.write_text("params.yaml holds no mistake\n", encoding="utf-8")


if __name__ == "__main__":
    main()
