"""Runs DVC stages, each in a process of its own, with its output read line by line as it comes."""

import json
import os
import re
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Self
from uuid import uuid4

from dvc.repo import Repo
from filelock import FileLock, Timeout

WORKER = Path(__file__).with_name("worker.py")
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
)
PROGRESS_SECONDS = 5.0
"""A progress bar redraws itself many times a second; its line is passed on at most this often, and at its end."""
ALIVE_SECONDS = 1.0
"""How often a process that runs stages of another's flow looks whether that flow still wants them."""
LAST_LINES = 15
"""Lines of a failed stage's output that are kept to tell why."""

Emit = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """How one stage ended."""

    kind: Literal["ran", "restored", "unchanged", "failed", "interrupted", "cancelled"]
    """`restored`: from DVC's run cache. `interrupted`: stopped from outside, by a signal or the machine."""
    seconds: float
    message: str = ""
    """Of a stage that failed: the error and the last lines of its output."""

    @property
    def failed(self) -> bool:
        """Whether it ended without its outputs."""
        return self.kind in ("failed", "interrupted", "cancelled")


class Lines:
    """Cuts a stream of bytes into lines; of a progress bar's redraws it lets through one every few seconds."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._rest = b""
        self._redraw = ""
        self._shown_at = float("-inf")
        self.last: deque[str] = deque(maxlen=LAST_LINES)

    def feed(self, data: bytes) -> None:
        *pieces, self._rest = re.split(rb"(\r\n|\n|\r)", self._rest + data)
        if pieces and pieces[-1] == b"\r" and not self._rest:  # perhaps one half of "\r\n": wait for the next byte
            self._rest = pieces.pop(-2) + pieces.pop()
        for piece, end in zip(pieces[::2], pieces[1::2], strict=True):
            self._take(_plain(piece), redraw=end == b"\r")

    def close(self) -> None:
        self._take(_plain(self._rest.rstrip(b"\r")), redraw=False)

    def _take(self, line: str, redraw: bool) -> None:
        if not redraw:
            self._show(line or self._redraw)
            self._redraw = ""
        elif time.monotonic() - self._shown_at >= PROGRESS_SECONDS:
            self._show(line)
            self._redraw = ""
        else:
            self._redraw = line or self._redraw

    def _show(self, line: str) -> None:
        if line:
            self._shown_at = time.monotonic()
            self.last.append(line)
            self._emit(line)


class StageRunner:
    """Runs stages of the DVC repository in the current folder, as many at once as it is asked to.

    Use it as a context manager: leaving it ends the stages that still run, with every process they started. Sent to
    another process, it is that process's own runner there, and ends its stages when this one stops or is gone.
    """

    def __init__(self, environment: dict[str, str], alive: str | None = None) -> None:
        self._environment = environment
        self._worker: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._controls: set[socket.socket] = set()
        self._stopped = False
        name = alive or Path(Repo.find_root(), ".dvc", "tmp", f"flow-{uuid4().hex}.lock")
        self._alive = FileLock(name, thread_local=False)  # held for as long as the flow wants its stages

    def __enter__(self) -> Self:
        self._alive.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._worker:
            self._channel.close()
            self._worker.wait()

    def __reduce__(self) -> tuple[Callable[..., "StageRunner"], tuple[object, ...]]:
        return _runner_elsewhere, (tuple(self._environment.items()), self._alive.lock_file)

    def run(
        self,
        address: str,
        emit: Emit,
        force: bool = False,
        environment: dict[str, str] | None = None,
    ) -> Outcome:
        """Run one stage to its end; `emit` gets each line of its output. Safe to call from many threads."""
        start = time.monotonic()
        lines = Lines(emit)
        request = {"address": address, "force": force, "environment": environment or {}}
        with self._started(request) as (output, control):
            answer = _follow(output, control, lines)
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

    @contextmanager
    def _started(self, request: dict[str, object]) -> Iterator[tuple[int, socket.socket]]:
        output, write_end = os.pipe()
        control, their_control = socket.socketpair()
        try:
            with their_control, self._lock:
                if not self._stopped:
                    self._send(json.dumps(request).encode(), write_end, their_control.fileno())
                    self._controls.add(control)
            os.close(write_end)
            yield output, control
        finally:
            with self._lock:
                self._controls.discard(control)
            control.close()
            os.close(output)

    def _outcome(self, answer: bytes, seconds: float, lines: Lines) -> Outcome:
        reply = json.loads(answer or b'{"outcome": "interrupted", "message": "the process of the stage was killed"}')
        if self._stopped and reply["outcome"] in ("failed", "interrupted", "cancelled"):
            return Outcome("cancelled", seconds)
        message = "\n".join([reply["message"], *lines.last]) if reply["message"] else ""
        return Outcome(reply["outcome"], seconds, message)

    def _start_worker(self) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._worker = subprocess.Popen(
                [sys.executable, str(WORKER), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the flow's to handle
            )

    def _send(self, message: bytes, *descriptors: int) -> None:
        if not self._worker:
            self._start_worker()
        socket.send_fds(self._channel, [message], descriptors)
        if not self._channel.recv(64):
            raise ChildProcessError("the process that starts the stages has died; run again")


@cache
def _runner_elsewhere(environment: tuple[tuple[str, str], ...], alive: str) -> StageRunner:
    """The one runner of this process for a flow in another."""
    runner = StageRunner(dict(environment), alive)
    threading.Thread(target=runner.end_with_flow, daemon=True).start()
    return runner


def stage_environment(at_once: int) -> dict[str, str]:
    """Return the environment of the stages: this Python first, output unbuffered, cores divided among `at_once`.

    Variables the user has set stay as they are.
    """
    share = str(max(1, (os.cpu_count() or 1) // at_once))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    defaults = {
        "PYTHONUNBUFFERED": "1",
        "DVC_NO_ANALYTICS": "1",
        **dict.fromkeys(THREAD_VARIABLES, share),
    }
    return {**defaults, **os.environ, "PATH": path}


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


def _plain(line: bytes) -> str:
    """Decode a line of terminal output and drop its colours and cursor moves."""
    return re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", line.decode("utf-8", "replace")).rstrip()
