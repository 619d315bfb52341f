"""A deployment with an interval of seconds, left alone while things go wrong: what grows, and does anything run twice?

A server and `make deploy`'s worker run in a small repository. In turn the worker is killed, the worker is gone for a
while, the server is restarted, and the machine loses its power (all is killed at once). Half-way, everything that the
database knows is made a month older, so that what should be forgotten by then can be seen to go:

    python benchmarks/unattended.py --minutes 60 --interval 10
"""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import cycle, pairwise
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
import yaml

ROOT = Path(__file__).parents[1]
SAMPLE_SECONDS = 20.0
AWAY_SECONDS = 45.0
"""How long worker, server or machine are gone."""
AGED = {"flow_run": ("end_time", "expected_start_time"), "events": ("occurred",), "log": ("timestamp",)}
"""Tables and their times, made a month older half-way."""


class Machine:
    """A repository with one deployment, and the processes that serve it."""

    def __init__(self, folder: Path, interval: int) -> None:
        self.folder, self.project = folder, folder / "project"
        self.ports = [free_port(), free_port()]
        self.url = f"http://127.0.0.1:{self.ports[0]}/api"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_PORT": str(self.ports[0]),
            "MLFLOW_PORT": str(self.ports[1]),
            "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "60",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(folder / "dvc"),
        }
        self._make_project(interval)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def _make_project(self, interval: int) -> None:
        for name in ("flows", "scripts"):
            shutil.copytree(ROOT / name, self.project / name, ignore=shutil.ignore_patterns("__pycache__"))
        (self.project / ".venv").symlink_to(ROOT / ".venv")
        (self.project / ".gitignore").write_text("/.venv\n/.tidemill\n__pycache__\n")
        deployed = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
        train = next(one for one in deployed["deployments"] if one["name"] == "train")
        train["schedules"] = [{"interval": interval}]
        (self.project / "prefect.yaml").write_text(yaml.safe_dump({"name": "tidemill", "deployments": [train]}))
        # without outputs, DVC runs it each time
        work = (
            f"echo begin $(date +%s.%N) >> {self.folder}/work; sleep 2; echo end $(date +%s.%N) >> {self.folder}/work"
        )
        (self.project / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"work": {"cmd": work}}}))
        self.run("git", "init", "--quiet")
        self.run("dvc", "init", "--quiet")
        self.run("git", "config", "user.name", "Ada")
        self.run("git", "config", "user.email", "ada@localhost")
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "Start")

    def run(self, *command: str) -> None:
        subprocess.run(command, cwd=self.project, env=self.environment, check=True)

    def start(self, name: str) -> None:
        """Start `ui` or `deploy`, and wait until the server answers."""
        named = {}
        if name == "deploy":
            password = (self.project / ".tidemill/prefect-password").read_text(encoding="ascii").strip()
            named = {"PREFECT_API_URL": self.url, "PREFECT_API_AUTH_STRING": password}
        with (self.folder / f"{name}.out").open("ab") as said:
            self.processes[name] = subprocess.Popen(
                [f"scripts/{name}.sh"],
                cwd=self.project,
                env=self.environment | named,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        while name == "ui" and not self._answers():
            time.sleep(1)

    def _answers(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=2):
            return True
        return False

    def tree(self, name: str) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.processes[name].pid)
            return [root, *root.children(recursive=True)]
        return []

    def kill(self, *names: str) -> None:
        """End all processes at once, as a power cut does."""
        for process in [process for name in names for process in self.tree(name)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for name in names:
            self.processes[name].wait()

    def stop(self, name: str) -> None:
        self.processes[name].terminate()
        self.processes[name].wait()

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.folder / "prefect/prefect.db", timeout=60)) as connection:
            yield connection


def kill_worker(machine: Machine) -> None:
    """Kill the worker and its run; it is started again at once."""
    for process in machine.tree("deploy"):
        with suppress(psutil.NoSuchProcess):
            if "flows.pool_worker" in process.cmdline():
                for one in [*process.children(recursive=True), process]:
                    one.kill()
                return


def worker_away(machine: Machine) -> None:
    """Let runs be missed."""
    machine.stop("deploy")
    time.sleep(AWAY_SECONDS)
    machine.start("deploy")


def restart_server(machine: Machine) -> None:
    """Restart the server under a working worker."""
    machine.stop("ui")
    machine.start("ui")


def power_cut(machine: Machine) -> None:
    """Kill everything at once, and start again later."""
    machine.kill("ui", "deploy")
    time.sleep(AWAY_SECONDS)
    machine.start("ui")
    machine.start("deploy")


def make_older(machine: Machine) -> None:
    """Make all that the server has recorded 31 days older."""
    machine.stop("ui")
    with machine.database() as database:
        for table, columns in AGED.items():
            for column in columns:
                older = f"strftime('%Y-%m-%d %H:%M:%f000', {column}, '-31 days')"
                database.execute(f"UPDATE {table} SET {column} = {older} WHERE {column} < datetime('now', '-1 minute')")
        database.commit()
    machine.start("ui")


def main(
    minutes: Annotated[float, typer.Option(min=1)] = 10.0,
    interval: Annotated[int, typer.Option(min=1, help="Seconds between two scheduled runs.")] = 10,
    trouble: Annotated[float, typer.Option(help="Minutes between two troubles.")] = 2.0,
) -> None:
    """Print what memory, database and logs hold over time, what went wrong, and how the runs ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder), interval)
        try:
            machine.start("ui")
            machine.start("deploy")
            _leave_alone(machine, minutes * 60, trouble * 60)
            _settle(machine)
            _report(machine)
        finally:
            for name in ("deploy", "ui"):
                machine.stop(name)


def _leave_alone(machine: Machine, seconds: float, between: float) -> None:
    troubles: Iterator[Callable[[Machine], None]] = cycle([kill_worker, worker_away, restart_server, power_cut])
    begin = time.monotonic()
    next_trouble, aged = begin + between, False
    print(
        f"{'minute':>6} {'servers MB':>10} {'worker MB':>9} {'database MB':>11} {'logs KB':>8} {'runs':>5} {'events':>7}"
    )
    while (now := time.monotonic()) < begin + seconds:
        if not aged and now > begin + seconds / 2:
            _do(machine, make_older, begin)
            aged = True
        elif now > next_trouble:
            _do(machine, next(troubles), begin)
            next_trouble = time.monotonic() + between
        _sample(machine, (now - begin) / 60)
        time.sleep(SAMPLE_SECONDS)


def _do(machine: Machine, trouble: Callable[[Machine], None], begin: float) -> None:
    print(f"{(time.monotonic() - begin) / 60:6.1f} {trouble.__name__}", flush=True)
    trouble(machine)


def _sample(machine: Machine, minute: float) -> None:
    memory = {name: sum(_resident(process) for process in machine.tree(name)) / 1e6 for name in machine.processes}
    logs = sum(
        path.stat().st_size for path in [*machine.folder.glob("*.out"), *machine.project.glob(".tidemill/*.log")]
    )
    with machine.database() as database:
        count = {
            table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("flow_run", "events")
        }
    stored = sum(path.stat().st_size for path in machine.folder.glob("prefect/prefect.db*")) / 1e6
    print(
        f"{minute:6.1f} {memory['ui']:10.0f} {memory['deploy']:9.0f} {stored:11.1f} {logs / 1e3:8.0f} "
        f"{count['flow_run']:5} {count['events']:7}",
        flush=True,
    )


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0


def _settle(machine: Machine) -> None:
    """Wait until dead runs have been found, which takes 90 s."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and _long_open(machine):
        time.sleep(5)


def _long_open(machine: Machine) -> list[Any]:
    """Return runs that have been under way for two minutes, which take seconds."""
    open_ = "SELECT name, state_name FROM flow_run WHERE state_type IN ('PENDING', 'RUNNING', 'CANCELLING')"
    with machine.database() as database:
        return database.execute(f"{open_} AND state_timestamp < datetime('now', '-120 seconds')").fetchall()


def _report(machine: Machine) -> None:
    with machine.database() as database:
        states = database.execute("SELECT state_name FROM flow_run WHERE state_type != 'SCHEDULED'").fetchall()
    print(
        "runs still recorded:",
        ", ".join(f"{count} {name}" for name, count in Counter(name for (name,) in states).items()),
    )
    print("runs under way for over two minutes:", _long_open(machine) or "none")
    marks = [line.split() for line in (machine.folder / "work").read_text().splitlines()]
    ended = sum(mark == "end" for mark, _ in marks)
    twice = sum(
        before[0] == after[0] == "begin" and float(after[1]) - float(before[1]) < 2 for before, after in pairwise(marks)
    )
    print(f"the stage began {len(marks) - ended} times and ended {ended} times; begun while another ran: {twice}")


def free_port() -> int:
    """Return a port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    typer.run(main)
