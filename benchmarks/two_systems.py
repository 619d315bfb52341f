"""Systems through the parallel flow against plain `dvc repro`, every stage run anew each time.

python benchmarks/two_systems.py [--rounds 3] [--system digits --system sentiment]

The two take turns in one clone, in one invocation; the ratio is taken pair by pair.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from timing import fresh_clone, seconds, show, with_first_on_path


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    system: Annotated[list[str], typer.Option(help="Which systems.")] = ["digits", "sentiment"],  # noqa: B006
) -> None:
    """Print seconds and ratios."""
    stages = [f"register@{name}" for name in system]
    serial, flow = ["dvc", "repro", "--force", *stages], ["tidemill", "run", "--force", *stages]
    with fresh_clone() as clone:
        environment = with_first_on_path(Path(sys.executable).parent) | {"PYTHONPATH": str(clone / "src")}
        seconds(["tidemill", "fetch"], clone, environment)
        store = "from tidemill.registry.tracking import connect; connect()"
        seconds([sys.executable, "-c", store], clone, environment)  # made once, outside the rounds
        pairs = [(seconds(serial, clone, environment), seconds(flow, clone, environment)) for _ in range(rounds)]
    print(f"{' and '.join(system)}, {os.cpu_count()} cores, {rounds} rounds")
    show("dvc repro (s)", [one for one, _ in pairs])
    show("parallel flow (s)", [other for _, other in pairs])
    show("dvc repro / flow", [one / other for one, other in pairs])


if __name__ == "__main__":
    typer.run(main)
