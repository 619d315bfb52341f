"""The parallel flow beside `dvc repro` and others: wall time of a graph of 60 stages, changed as a whole and cached.

Twenty branches of three stages, each waiting as a stage that trains elsewhere or downloads would, so that what is
measured is the scheduling and not the cores. The ways take turns, in one invocation:

    python benchmarks/parallel_dvc.py --rounds 5 --wait 1 --jobs 8

What else runs DVC's stages at once may need other versions of DVC: install it in an environment of its own
and name its command, whose own folder then comes first on PATH:

    pip install paraffin 'sqlmodel<0.0.25'

    --peer 'paraffin=ENV/bin/paraffin submit && paraffin worker --jobs 8 --timeout 2'

Each way runs in a repository of its own. The flow uses the Prefect server of PREFECT_API_URL; without one the time to
start a temporary one is part of it.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
import yaml
from timing import seconds, show, with_first_on_path

DVC, TIDEMILL = (Path(sys.executable).with_name(name) for name in ("dvc", "tidemill"))
FLOW = "tidemill run"


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    wait: Annotated[float, typer.Option(help="Seconds that each stage takes.")] = 1.0,
    jobs: Annotated[int, typer.Option(min=1)] = 8,
    peer: Annotated[list[str] | None, typer.Option(metavar="NAME=COMMAND", help="Another way to run stages.")] = None,
) -> None:
    """Print the median wall times, and each way's beside the flow's."""
    ways = {
        "dvc repro": f"{DVC} repro --quiet",
        FLOW: f"{TIDEMILL} run --jobs {jobs}",
        **dict(one.split("=", 1) for one in peer or []),
    }
    with tempfile.TemporaryDirectory() as folder:
        changed, cached = _measure(Path(folder), ways, rounds, wait)
    for name, times in (("60 stages changed", changed), ("60 stages cached", cached)):
        print(f"{name}, seconds")
        for way, values in times.items():
            show(way, values)
            print(f"{'':36} {median(values) / median(times[FLOW]):.2f} times the flow's")


def _measure(folder: Path, ways: dict[str, str], rounds: int, wait: float) -> tuple[dict[str, list[float]], ...]:
    changed: dict[str, list[float]] = {way: [] for way in ways}
    cached: dict[str, list[float]] = {way: [] for way in ways}
    for way in ways:
        _make_repository(folder / way.replace(" ", "-"), wait)
    for number in range(rounds):
        for way, command in ways.items():
            repository, environment = folder / way.replace(" ", "-"), _environment(command)
            (repository / "seed").write_text(f"{number}\n")
            changed[way].append(_time(command, repository, environment, wanted=f"{number}\n"))
            cached[way].append(_time(command, repository, environment, wanted=f"{number}\n"))
    return changed, cached


def _environment(command: str) -> dict[str, str]:
    return with_first_on_path(Path(command.split()[0]).absolute().parent) | {"DVC_NO_ANALYTICS": "1"}


def _time(command: str, folder: Path, environment: dict[str, str], wanted: str) -> float:
    """Wall time of a command, after which each branch must have come to what is wanted."""
    taken = seconds(["sh", "-c", command], folder, environment)
    found = {path.read_text() for path in folder.glob("third.*")}
    if found != {wanted}:
        raise SystemExit(f"'{command}' ended well, but its stages came to {found}")
    return taken


def _make_repository(folder: Path, wait: float) -> None:
    folder.mkdir()
    branches = list(range(20))
    stages = {
        name: {
            "foreach": branches,
            "do": {
                "cmd": f"sleep {wait}; cat {source} > {name}.${{item}}",
                "deps": [source],
                "outs": [f"{name}.${{item}}"],
            },
        }
        for name, source in (("first", "seed"), ("second", "first.${item}"), ("third", "second.${item}"))
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (folder / "seed").write_text("not measured\n")
    for command in (
        ["git", "init", "--quiet"],
        [str(DVC), "init", "--quiet"],
        ["git", "add", "--all"],
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@localhost", "commit", "--quiet", "-m", "Start"],
    ):
        subprocess.run(command, cwd=folder, check=True)


if __name__ == "__main__":
    typer.run(main)
