"""The pipeline of all systems as they ship, from fetched data: the parallel flow, plain `dvc repro`, and other runners.

    python benchmarks/systems.py [--rounds 3] [--peer NAME=COMMAND]

Each way runs in a fresh clone, in turn, and must leave nothing to do for DVC. A peer is a command of another environment,
which starts the stages with this one's Python:

    --peer 'paraffin=ENV/bin/paraffin submit && ENV/bin/paraffin worker --jobs 2 --timeout 60'
"""

import os
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from timing import fresh_clone, seconds, show, with_first_on_path

FLOW = "parallel flow"


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    peer: Annotated[list[str] | None, typer.Option(metavar="NAME=COMMAND", help="Another way to run stages.")] = None,
) -> None:
    """Print the median wall times, and each way's beside the flow's."""
    ways = {FLOW: "tidemill run", "dvc repro": "dvc repro --quiet", **dict(one.split("=", 1) for one in peer or [])}
    found = defaultdict(list)
    for _ in range(rounds):
        for name, command in ways.items():
            found[name].append(_from_fetched_data(command))
            show(name, found[name])
    print(f"{os.cpu_count()} cores, {rounds} rounds, seconds")
    for name, times in found.items():
        show(name, times)
        print(f"{'':36} {median(times) / median(found[FLOW]):.2f} times the flow's")


def _from_fetched_data(command: str) -> float:
    with fresh_clone() as clone:
        environment = with_first_on_path(Path(sys.executable).parent) | {"PYTHONPATH": str(clone / "src")}
        seconds(["tidemill", "fetch"], clone, environment)
        store = "from tidemill.tracking.store import connect; connect()"
        seconds([sys.executable, "-c", store], clone, environment)
        took = seconds(["sh", "-c", command], clone, environment)
        seconds(["sh", "-c", "dvc status | grep 'up to date'"], clone, environment)
    return took


if __name__ == "__main__":
    typer.run(main)
