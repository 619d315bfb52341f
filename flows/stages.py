"""Runs DVC stages, each in a process of its own, with its output read line by line as it comes."""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote
from uuid import uuid4

import psutil
from filelock import FileLock, Timeout

from flows.dvc_internals import Repo
from flows.output import Emit, Lines

ROOT = Path(__file__).resolve().parents[1]
FORK_SERVER = "import sys; sys.path[0] = sys.argv[1]; from flows.fork_server import serve; serve(int(sys.argv[2]))"
"""Starts the process of the stages without a word in its environment, which is the stages' own."""
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
)
ALIVE_SECONDS = 1.0
"""How often a process that runs stages of another's flow looks whether that flow still wants them."""
ACTIVE_ENVIRONMENT = {"VIRTUAL_ENV", "CONDA_PREFIX"}
"""Variables that say that the user has chosen an environment, and with it a Python."""
KILLED = b'{"outcome": "interrupted", "message": "the process of the stage was killed", "status": "killed"}'
"""What stands for the answer of a stage that gave none."""


@dataclass(frozen=True)
class Outcome:
    """How one stage ended."""

    kind: Literal["ran", "restored", "unchanged", "failed", "interrupted", "cancelled"]
    """`restored`: from DVC's run cache. `interrupted`: stopped from outside, by a signal or the machine."""
    seconds: float
    message: str = ""
    """Of a stage that failed: what DVC says of it, and the last lines of its output."""
    error: str = ""
    """The same in one line."""

    @property
    def failed(self) -> bool:
        """Whether it ended without its outputs."""
        return self.kind in ("failed", "interrupted", "cancelled")


@dataclass(frozen=True)
class Options:
    """How DVC runs a stage: the options of `dvc repro` by the same names."""

    force: bool = False
    allow_missing: bool = False
    pull: bool = False
    no_commit: bool = False
    run_cache: bool = True


class StageRunner:
    """Runs stages of the DVC repository in the current folder, as many at once as it is asked to.

    Use it as a context manager: leaving it ends the stages that still run, with every process they started. Sent to
    another process, it is that process's own runner there, and ends its stages when this one stops or is gone.
    """

    def __init__(self, environment: dict[str, str], alive: str | None = None) -> None:
        self._environment = environment
        self._wait_for_fork_server: Callable[[], object] | None = None
        self._lock = threading.Lock()
        self._controls: set[socket.socket] = set()
        self._stopped = False
        name = alive or temporary_folder() / f"flow-{uuid4().hex}.lock"
        self._alive = FileLock(name, thread_local=False)  # held for as long as the flow wants its stages
        self._logs = Path(name).parent / "flow" / "logs"

    def __enter__(self) -> Self:
        if threading.active_count() == 1:  # a process that runs more than one thread is not safe to fork
            self._fork_the_server()
        self._alive.acquire()
        remove_left_locks(Path(self._alive.lock_file).parent)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._wait_for_fork_server:
            self._channel.close()
            self._wait_for_fork_server()

    def __reduce__(self) -> tuple[Callable[..., "StageRunner"], tuple[object, ...]]:
        return _runner_elsewhere, (tuple(self._environment.items()), self._alive.lock_file)

    def run(
        self,
        address: str,
        emit: Emit,
        options: Options = Options(),
        limits: Mapping[str, int] | None = None,
        environment: dict[str, str] | None = None,
    ) -> Outcome:
        """Run one stage to its end. Safe to call from many threads.

        Args:
            address: the stage's.
            emit: gets its output, line by line, or many lines at once where there are many.
            options: how DVC runs it.
            limits: of how many that may run on this machine at once it is one, by name; it waits for its turn.
            environment: more variables for it.
        """
        start = time.monotonic()
        request = {
            "address": address,
            "options": asdict(options),
            "limits": dict(limits or {}),
            "environment": environment or {},
        }
        with self._log(address).open("wb") as whole:
            lines = Lines(emit, whole)
            with self._started(request) as (output, control, process):
                answer = _follow(output, control, lines)
                if not answer and process:
                    _end_session(process)
            lines.close()
        return self._outcome(answer, time.monotonic() - start, lines)

    def stop(self) -> None:
        """End the stages that run now, and start no more. Returns at once; `run` returns when the stage has ended."""
        with self._lock:
            self._stopped = True
            for control in self._controls:
                control.shutdown(socket.SHUT_WR)
        self._alive.release()
        Path(self._alive.lock_file).unlink(missing_ok=True)

    def end_with_flow(self) -> None:
        """Return when the flow of another process has stopped or is gone, and this runner with it."""
        while True:
            with suppress(Timeout):
                self._alive.acquire(timeout=0)
                return self.__exit__()
            time.sleep(ALIVE_SECONDS)

    def _log(self, address: str) -> Path:
        """The file of all that the stage writes, from its last run."""
        self._logs.mkdir(parents=True, exist_ok=True)
        return self._logs / f"{quote(address, safe='@:')[-200:]}.log"

    @contextmanager
    def _started(self, request: Mapping[str, object]) -> Iterator[tuple[int, socket.socket, int]]:
        """Give the stage's output, the socket that it answers on, and its process id; 0 if it was not started."""
        process = 0
        output, write_end = os.pipe()
        control, their_control = socket.socketpair()
        try:
            with their_control, self._lock:
                if not self._stopped:
                    process = self._send(json.dumps(request).encode(), write_end, their_control.fileno())
                    self._controls.add(control)
            os.close(write_end)
            yield output, control, process
        finally:
            with self._lock:
                self._controls.discard(control)
            control.close()
            os.close(output)

    def _outcome(self, answer: bytes, seconds: float, lines: Lines) -> Outcome:
        reply = json.loads(answer or KILLED)
        if self._stopped and reply["outcome"] in ("failed", "interrupted", "cancelled"):
            return Outcome("cancelled", seconds)
        if not reply["message"]:
            return Outcome(reply["outcome"], seconds)
        error = f"{reply['status']}: {lines.error()}" if reply["status"] and lines.last else reply["message"]
        return Outcome(reply["outcome"], seconds, "\n".join([reply["message"], *lines.last]), error.splitlines()[0])

    def _fork_the_server(self) -> None:
        """Start the fork server as a copy of this process, which has DVC loaded already: that takes half as long."""
        self._channel, theirs = socket.socketpair()
        server = os.fork()
        if server:
            theirs.close()
            self._wait_for_fork_server = partial(os.waitpid, server, 0)
            return
        try:
            os.setsid()
            self._channel.close()
            os.environ.clear()
            os.environ.update(self._environment)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            from flows.fork_server import serve

            serve(theirs.fileno())
        finally:
            os._exit(0)

    def _start_the_server(self) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._wait_for_fork_server = subprocess.Popen(
                [sys.executable, "-c", FORK_SERVER, str(ROOT), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the flow's to handle
            ).wait

    def _send(self, message: bytes, *descriptors: int) -> int:
        """Have a stage started; return the id of its process."""
        if not self._wait_for_fork_server:
            self._start_the_server()
        with suppress(BrokenPipeError):
            socket.send_fds(self._channel, [message], descriptors)
        if not (answer := self._channel.recv(64)):
            raise ChildProcessError("the process that starts the stages has died; run again")
        return int(answer)


@cache
def _runner_elsewhere(environment: tuple[tuple[str, str], ...], alive: str) -> StageRunner:
    """The one runner of this process for a flow in another."""
    runner = StageRunner(dict(environment), alive)
    threading.Thread(target=runner.end_with_flow, daemon=True).start()
    return runner


def stage_environment(at_once: int) -> dict[str, str]:
    """Return the environment of the stages: that of `dvc repro`, but for what running `at_once` of them asks for.

    - The cores are divided among them: each would else start as many threads as there are cores. A single one gets
      all of them, as under `dvc repro`.
    - Python writes its output at once and not when a buffer is full: the log shows what a stage is at.
    - `python` is the flow's own, which may have been started without activating its environment; where one is active,
      it is that one's.

    Variables that the user has set stay as they are.
    """
    defaults = {"PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1"}
    if at_once > 1:
        defaults |= dict.fromkeys(THREAD_VARIABLES, str(max(1, (os.cpu_count() or 1) // at_once)))
    path = os.environ.get("PATH", os.defpath)
    if not ACTIVE_ENVIRONMENT & set(os.environ):
        path = os.pathsep.join([str(Path(sys.executable).parent), path])
    return {**defaults, **os.environ, "PATH": path}


def temporary_folder() -> Path:
    """Return the folder of DVC's repository for what lasts no longer than a run."""
    return Path(Repo.find_root(), ".dvc", "tmp")


def remove_left_locks(folder: Path) -> None:
    """Remove the lock files of flows that were killed: nobody holds them."""
    for path in folder.glob("flow-*.lock"):
        lock = FileLock(path, thread_local=False)
        with suppress(Timeout, OSError):
            lock.acquire(timeout=0)
            path.unlink(missing_ok=True)
            lock.release()


def _end_session(process: int) -> None:
    """Kill what a stage's process has left behind: its command must not run on beside another try."""
    for other in psutil.pids():
        with suppress(OSError):
            if os.getsid(other) == process:
                os.kill(other, signal.SIGKILL)


def _follow(output: int, control: socket.socket, lines: Lines) -> bytes:
    """Pass the output on until the stage's process has gone; return what it answered."""
    answer = b""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        selector.register(control, selectors.EVENT_READ)
        gone = False
        while ready := [key.fileobj for key, _ in selector.select(timeout=0 if gone else None)]:
            if output in ready and not _pass_on(output, lines):
                selector.unregister(output)
            if control in ready:
                part = control.recv(1 << 16)
                answer += part
                if not part:
                    gone = True
                    selector.unregister(control)
    return answer


def _pass_on(output: int, lines: Lines) -> bool:
    data = os.read(output, 1 << 16)
    lines.feed(data)
    return bool(data)
