"""Runs single DVC stages for a flow: one small process with DVC loaded that forks one child a stage.

A stage needs a process of its own: DVC's file locks are owned by process ids, the stage writes to the process's own
output, and ending it must end all that it started. Loading DVC each time would cost more than many stages do; a fork
costs milliseconds, and the child then runs DVC's own `repro --single-item`, unchanged.

The flow sends each request over a socket together with two file descriptors: the pipe the stage writes its output to,
and a control socket. The child answers on the control socket; when the flow closes its side, or dies, the stage ends.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

import psutil
from dvc.exceptions import DvcException
from dvc.lock import Lock, LockError
from dvc.repo import Repo
from dvc.stage.exceptions import StageCmdFailedError

POLL_SECONDS = 0.02
"""How often a lock that another holds is tried again; DVC's own half second would outlast many stages."""
GRACE_SECONDS = 10.0
"""How long the processes of a cancelled stage may take to end by themselves."""


class Cancelled(BaseException):
    """The flow no longer wants this stage."""


class PatientLock(Lock):  # type: ignore[misc]  # DVC is untyped
    """DVC's repository lock, waited for however long it takes, and the point where a cancelled stage leaves.

    DVC holds the lock while it writes its own records and gives it up while the stage's command runs: a stage
    cancelled under the lock goes on until its records are whole, and starts or keeps nothing more.
    """

    cancelled = False

    def lock(self) -> None:
        while not self.cancelled:
            try:
                self._do_lock()
                return
            except LockError:
                time.sleep(POLL_SECONDS)
        raise Cancelled

    def unlock(self) -> None:
        if self.cancelled and not self.is_locked:
            return
        super().unlock()
        if self.cancelled:
            raise Cancelled


def serve(channel: socket.socket) -> None:
    """Fork one child for each request, answering with its process id, until the flow closes `channel`."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the children
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, 1 << 16, 2)
        if not message:
            return
        pid = os.fork()
        if not pid:
            channel.close()
            _become_stage(json.loads(message), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        channel.sendall(f"{pid}\n".encode())


def _become_stage(request: dict[str, Any], output: int, control: int) -> NoReturn:
    """Run one stage in this process, a session of its own, and answer `{"outcome", "message"}` on `control`."""
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _redirect(output)
        os.set_inheritable(control, False)
        os.environ.update(request["environment"])
        answer = _reproduce(request["address"], request["force"], control)
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(control, json.dumps(answer).encode())
        if answer["outcome"] == "cancelled":
            os.killpg(0, signal.SIGKILL)  # what had left the process tree but not the group ends with us
    finally:
        os._exit(0)


def _redirect(output: int) -> None:
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)


def _reproduce(address: str, force: bool, control: int) -> dict[str, str]:
    try:
        repo = Repo()
        repo.scm_context.quiet = True
        if type(repo.lock) is Lock:  # `core.hardlink_lock` brings another kind, which waits by itself
            repo.lock = PatientLock(repo.lock.lockfile)
        _end_when_told(repo, control)
        restored = _watch_run_cache(repo)
        ran = _reproduce_when_free(repo, address, force)
        return {
            "outcome": ("restored" if restored else "ran") if ran else "unchanged",
            "message": "",
        }
    except Cancelled:
        return {"outcome": "cancelled", "message": ""}
    except Exception as error:  # whatever it is, the flow has to hear of it
        if not isinstance(error, DvcException):
            traceback.print_exc()
        return _failure(error)


def _reproduce_when_free(repo: Repo, address: str, force: bool) -> bool:
    """`dvc repro --single-item`, tried again for as long as another process uses the stage's files."""
    told = False
    while True:
        try:
            return bool(repo.reproduce(address, single_item=True, force=force))
        except DvcException as error:
            if not isinstance(_cause(error), LockError):
                raise
            if not told:
                print(f"waiting: {_cause(error)}", flush=True)
            told = True
            time.sleep(POLL_SECONDS)


def _watch_run_cache(repo: Repo) -> list[str]:
    """Return a list that fills when outputs come back from DVC's run cache instead of from a run."""
    restored: list[str] = []
    original = repo.stage_cache.restore

    def restore(stage: Any, **options: Any) -> None:
        original(stage, **options)
        restored.append(stage.addressing)

    repo.stage_cache.restore = restore
    return restored


def _end_when_told(repo: Repo, control: int) -> None:
    """Let SIGTERM, and the end of the flow, end the stage's processes first and then DVC's work on it."""

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        repo.lock.cancelled = True
        if repo.lock.is_locked:
            return
        _end_processes()
        raise Cancelled

    def watch() -> None:
        os.read(control, 1)  # returns only when the flow's side is closed
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, terminate)
    threading.Thread(target=watch, daemon=True).start()


def _end_processes() -> None:
    """Ask all processes below this one and in its group to end; kill what is left after the grace period."""
    processes = psutil.Process().children(recursive=True)
    os.killpg(0, signal.SIGTERM)
    for process in processes:
        _send(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=GRACE_SECONDS)
    for process in alive:
        _send(process, signal.SIGKILL)


def _send(process: psutil.Process, number: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _cause(error: BaseException) -> BaseException:
    return _cause(error.__cause__) if error.__cause__ else error


def _failure(error: Exception) -> dict[str, str]:
    """Tell a stage that failed by itself from one that was stopped from outside, which another try may mend."""
    cause = _cause(error)
    stopped = isinstance(cause, OSError) or (isinstance(cause, StageCmdFailedError) and _by_signal(str(cause)))
    return {"outcome": "interrupted" if stopped else "failed", "message": str(cause)}


def _by_signal(message: str) -> bool:
    """Whether the command ended by a signal: its exit status, which DVC keeps only in its text, is -n or 128+n."""
    status = int(message.rsplit(" ", 1)[-1])
    return status < 0 or 128 < status <= 128 + signal.NSIG


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
