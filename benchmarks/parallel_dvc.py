"""The parallel flow beside `dvc repro`, `make -j` and others, on graphs of any size: time, CPU time and memory.

A graph is branches of three stages, each a copy of a file. In every round each way gets a repository of its own, and the
ways take turns: all stages run for the first time, all have changed, none has.

    python benchmarks/parallel_dvc.py --stages 10 --stages 300 --rounds 3

Stages that only wait, as those that train elsewhere, or that keep a core busy for so many seconds of its time:

    python benchmarks/parallel_dvc.py --stages 60 --wait 1 --jobs 8
    python benchmarks/parallel_dvc.py --stages 12 --work 2

What else runs DVC's stages at once may need other versions of DVC: install it in an environment of its own
and name its command, whose own folder then comes first on PATH:

    pip install paraffin 'sqlmodel<0.0.25'

    --peer 'paraffin=ENV/bin/paraffin submit && paraffin worker --jobs 2 --timeout 2'

Other work on the machine changes the wall time; it changes the CPU time less: that of the command with all it started,
and of the server that it reports to. Memory is the largest sum over all these processes, what they share counted once.
"""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Annotated, NamedTuple

import psutil
import typer
import yaml
from timing import ROOT, show, with_first_on_path

DVC, TIDEMILL = (Path(sys.executable).with_name(name) for name in ("dvc", "tidemill"))
FLOW = "tidemill run"
SERVED = "tidemill run, Prefect's server named"
STEPS = ("first run", "all changed", "nothing changed")
LOOK_SECONDS = 0.25
"""How often memory is summed up."""


class Cost(NamedTuple):
    """What a command took."""

    wall: float
    cpu: float
    memory: float
    """The most at one time, MB."""
    ended: bool
    """Whether it came to its end within the time allowed."""


Costs = dict[tuple[str, str], list[Cost]]
"""Of each step and way, one a round."""


def main(
    stages: Annotated[
        list[int] | None, typer.Option(help="Stages of a graph, rounded down to a multiple of three.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    wait: Annotated[float, typer.Option(help="Seconds that each stage waits.")] = 0.0,
    work: Annotated[float, typer.Option(help="Seconds that each stage keeps a core busy.")] = 0.0,
    jobs: Annotated[int, typer.Option(min=1)] = os.cpu_count() or 1,
    at_most: Annotated[float, typer.Option(help="End a command after so many seconds.")] = 1800.0,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Leave out all other ways.")] = None,
    peer: Annotated[list[str] | None, typer.Option(metavar="NAME=COMMAND", help="Another way to run stages.")] = None,
) -> None:
    """Print wall time, CPU time and memory of each way, and each way's times beside the flow's."""
    ways = {
        FLOW: f"{TIDEMILL} run --jobs {jobs}",
        SERVED: f"{TIDEMILL} run --jobs {jobs}",
        "dvc repro": f"{DVC} repro --quiet",
        "make": f"make --silent -j{jobs}",
        **dict(one.split("=", 1) for one in peer or []),
    }
    ways = {name: command for name, command in ways.items() if name in (only or ways)}
    command = f"sleep {wait}; " * bool(wait) + f"{_busy(work)}; " * bool(work)
    for count in stages or [60]:
        found: Costs = defaultdict(list)
        for _ in range(rounds):
            _add_round(found, ways, count, command, at_most)
        _show(found, ways, count)


def _busy(seconds: float) -> str:
    loop = f"import time\nwhile time.process_time() < {seconds}: pass"
    return f"{sys.executable} -S -c {shlex.quote(loop)}"


def _add_round(found: Costs, ways: dict[str, str], count: int, command: str, at_most: float) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(_prefect(folder / "server")) if SERVED in ways else None
        for way in ways:
            _make_repository(folder / way, count, command)
        for number, step in enumerate(STEPS):
            seed = f"{min(number, 1)}\n"  # the same in the last two
            for way, line in ways.items():
                if found[step, way] and not found[step, way][-1].ended:
                    continue  # it would take as long again
                if step != STEPS[-1]:  # make looks at when it was written
                    (folder / way / "seed").write_text(seed)
                environment = _environment(line, folder) | (server[1] if server and way == SERVED else {})
                watched = [server[0]] if server and way == SERVED else []
                cost = _measure(line, folder / way, environment, watched, at_most)
                if cost.ended and {path.read_text() for path in (folder / way).glob("third.*")} != {seed}:
                    raise SystemExit(f"'{line}' ended well, but its stages did not come to {seed!r}")
                found[step, way].append(cost)
                print(f"{count} stages, {step}, {way}: {cost}", file=sys.stderr, flush=True)


def _show(found: Costs, ways: dict[str, str], count: int) -> None:
    for step in STEPS:
        print(f"{count} stages, {step}, on {os.cpu_count()} cores")
        ours = median(cost.wall for cost in found[step, next(iter(ways))])
        for way in ways:
            costs = found[step, way]
            show(f"{way}, s", [cost.wall for cost in costs])
            if not all(cost.ended for cost in costs):
                print(f"{'':36} did not end in this time")
            show(f"{'':20} CPU, s", [cost.cpu for cost in costs])
            show(f"{'':20} memory, MB", [cost.memory for cost in costs])
            print(f"{'':36} {median(cost.wall for cost in costs) / ours:.2f} times the first's wall time")


def _environment(line: str, folder: Path) -> dict[str, str]:
    named = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {
        **named,
        "PATH": with_first_on_path(Path(line.split()[0]).absolute().parent)["PATH"],
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(folder / "site-cache"),
        "PREFECT_HOME": str(folder / "prefect"),
    }


def _measure(line: str, folder: Path, environment: dict[str, str], watched: list[int], at_most: float) -> Cost:
    before, start = sum(map(_cpu, watched)), time.perf_counter()
    process = subprocess.Popen(
        ["sh", "-c", line],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    memory = [0.0]
    ended = threading.Event()
    threading.Thread(target=_watch, args=([process.pid, *watched], memory, ended), daemon=True).start()
    timer = threading.Timer(at_most, os.killpg, (process.pid, signal.SIGTERM))
    timer.start()
    said = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    in_time = timer.is_alive()
    timer.cancel()
    ended.set()
    if status and in_time:
        raise SystemExit(f"{line} failed:\n{said.decode()[-3000:]}")
    cpu = usage.ru_utime + usage.ru_stime + sum(map(_cpu, watched)) - before
    return Cost(wall, cpu, memory[0], in_time)


def _cpu(process: int) -> float:
    times = psutil.Process(process).cpu_times()
    return float(sum(times[:4]))


def _watch(processes: list[int], memory: list[float], ended: threading.Event) -> None:
    while not ended.wait(LOOK_SECONDS):
        total = 0
        for root in processes:
            with suppress(psutil.Error):
                for process in (root := psutil.Process(root)), *root.children(recursive=True):
                    with suppress(psutil.Error):
                        total += process.memory_full_info().pss
        memory[0] = max(memory[0], total / 1e6)


@contextmanager
def _prefect(folder: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Run a server of Prefect's; give its process and what names it to a flow."""
    sys.path.insert(0, str(ROOT))
    from tests.conftest import running_prefect

    folder.mkdir()
    with running_prefect(folder) as url:
        port = url.rsplit(":", 1)[1].partition("/")[0]
        server = next(one for one in psutil.process_iter(["cmdline"]) if port in (one.info["cmdline"] or []))
        yield server.pid, {"PREFECT_API_URL": url}


def _make_repository(folder: Path, count: int, command: str) -> None:
    folder.mkdir()
    stages: dict[str, object] = {}
    rules = [f"all: {' '.join(f'third.{branch}' for branch in range(count // 3))}"]
    for branch in range(count // 3):
        source = "seed"
        for name in ("first", "second", "third"):
            target = f"{name}.{branch}"
            line = f"{command}cat {source} > {target}"
            stages[f"{name}-{branch}"] = {"cmd": line, "deps": [source], "outs": [target]}
            rules.append(f"{target}: {source}\n\t{line.replace(chr(10), ';')}")
            source = target
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (folder / "Makefile").write_text("\n".join(rules) + "\n")
    for line in (
        ["git", "init", "--quiet"],
        [str(DVC), "init", "--quiet"],
        ["git", "add", "--all"],
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@localhost", "commit", "--quiet", "-m", "Start"],
    ):
        subprocess.run(line, cwd=folder, check=True)


if __name__ == "__main__":
    typer.run(main)
