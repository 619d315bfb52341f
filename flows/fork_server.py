"""Runs single DVC stages for a flow: one process with DVC and all stages loaded that forks one child a stage.

A stage needs a process of its own: DVC's file locks are owned by process ids, the stage writes to the process's own
output, and ending it must end all that it started. Loading DVC and dvc.yaml each time would cost more than many stages
do; a fork costs milliseconds. The child does what `dvc repro --single-item` does, with the stage as a serial run would
have it: read from dvc.yaml when the run began, and from dvc.lock just now.

The flow sends each request over a socket together with two file descriptors: the pipe the stage writes its output to,
and a control socket. The child answers on the control socket; when the flow closes its side, or dies, the stage ends.
"""

import gc
import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import psutil

from flows import limits, lockfile, quick_dvc
from flows.dvc_internals import (
    DvcException,
    Lock,
    LockError,
    PipelineStage,
    Repo,
    StageCmdFailedError,
    StageLoader,
    lock_repo,
    reproduce_stage,
)

POLL_SECONDS = 0.02
"""How often a lock that another holds is tried again; DVC's own half second would outlast many stages."""
GRACE_SECONDS = 10.0
"""How long the processes of a cancelled stage may take to end by themselves."""
IMPORTED_BY_STAGES = ("dulwich.index", "dvc.rwlock", "dvc_data.hashfile.checkout", "dvc_data.hashfile.status")
"""Modules that DVC imports on its way through a stage: imported before the children are forked, they cost once."""


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


class Stages:
    """The stages of the repository in the current folder, loaded once for all children."""

    def __init__(self) -> None:
        self.repo = Repo()
        if type(self.repo.lock) is Lock:  # `core.hardlink_lock` brings another kind, which waits by itself
            self.repo.lock = PatientLock(self.repo.lock.lockfile)
        self.repo.scm_context.quiet = True
        quick_dvc.keep_what_no_stage_changes(self.repo)
        self._stages: dict[str, Any] = {}
        with suppress(DvcException), lock_repo(self.repo):  # what is wrong with them, the first child finds as well
            self._stages = {stage.addressing: stage for stage in self.repo.index.stages}

    def current(self, address: str) -> Any:
        """Return a stage with what its files record of it now."""
        if (stage := self._stages.get(address)) is None:
            (stage,) = self.repo.stage.collect(address)
            return stage
        return _with_its_record(stage)

    def prepare(self, address: str) -> None:
        """Let this process read, once, the `.gitignore` files that each child would read."""
        stage = self._stages.get(address)
        for out in stage.outs if stage else ():
            with suppress(OSError, ValueError):  # the child finds the same, and tells
                self.repo.scm.is_ignored(out.fs_path)
        self.repo.scm._reset()

    def upstream(self, stage: Any) -> list[Any]:
        """Return the stages that make what this one reads."""
        read = {dependency.fs_path for dependency in stage.deps}
        return [
            _with_its_record(other) for other in self._stages.values() if any(out.fs_path in read for out in other.outs)
        ]


def _with_its_record(stage: Any) -> Any:
    if not isinstance(stage, PipelineStage):
        return stage.reload()
    recorded = lockfile.get(Path(stage.path).with_suffix(".lock"), stage.name)
    if recorded is None:
        return stage.reload()
    if recorded:
        stage.cmd_changed = recorded["cmd"] != stage.cmd
    StageLoader.fill_from_lock(stage, recorded)
    return stage


def serve(descriptor: int) -> None:
    """Fork one child for each request on this socket, answering with its process id, until the flow closes it."""
    channel = socket.socket(fileno=descriptor)
    signal.signal(signal.SIGCHLD, _bury)
    quick_dvc.apply()
    for name in IMPORTED_BY_STAGES:
        import_module(name)
    stages = Stages()
    gc.collect()
    gc.freeze()  # what the children share with this process stays shared
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, 1 << 16, 2)
        if not message:
            return
        request = json.loads(message)
        stages.prepare(request["address"])
        pid = os.fork()
        if not pid:
            channel.close()
            _become_stage(stages, request, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        channel.sendall(f"{pid}\n".encode())


def _bury(_signal: int, _frame: FrameType | None) -> None:
    """Take note of the children that have ended: what they cost is then counted as this process's."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _become_stage(stages: Stages, request: dict[str, Any], output: int, control: int) -> NoReturn:
    """Run one stage in this process, a session of its own, and answer `{"outcome", "message", "status"}` on `control`."""
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _redirect(output)
        os.set_inheritable(control, False)
        os.environ.update(request["environment"])
        answer = _reproduce(stages, request, control)
        if answer["outcome"] == "interrupted":  # its command may have been killed without what that had started
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            _end_processes()
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(control, json.dumps(answer).encode())
        if answer["outcome"] in ("cancelled", "interrupted"):
            os.killpg(0, signal.SIGKILL)  # what had left the process tree but not the group ends with us
    finally:
        os._exit(0)


def _redirect(output: int) -> None:
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)


def _reproduce(stages: Stages, request: dict[str, Any], control: int) -> dict[str, str]:
    try:
        repo = stages.repo
        if not isinstance(repo.lock, PatientLock):
            repo.lock._set_claimfile()  # it names the process
        _end_when_told(repo, control)
        restored = _watch_run_cache(repo)
        with limits.held(request["limits"], lambda name: print(f"waiting: limit {name}", flush=True)):
            ran = _reproduce_when_free(stages, request["address"], request["options"])
        return _answer(("restored" if restored else "ran") if ran else "unchanged")
    except Cancelled:
        return _answer("cancelled")
    except Exception as error:  # whatever it is, the flow has to hear of it
        if not isinstance(error, DvcException):
            traceback.print_exc()
        return _failure(error)


def _reproduce_when_free(stages: Stages, address: str, options: dict[str, bool]) -> bool:
    """`dvc repro --single-item`, tried again for as long as another process uses the stage's files."""
    told = False
    while True:
        try:
            return _reproduce_once(stages, address, options)
        except DvcException as error:
            if not isinstance(_cause(error), LockError):
                raise
            if not told:
                print(f"waiting: {_cause(error)}", flush=True)
            told = True
            time.sleep(POLL_SECONDS)


def _reproduce_once(stages: Stages, address: str, options: dict[str, bool]) -> bool:
    """Return whether the stage ran or came back from the run cache; False if nothing of it has changed."""
    with lock_repo(stages.repo), stages.repo.scm_context():
        stage = stages.current(address)
        upstream = stages.upstream(stage) if options["allow_missing"] or options["pull"] else []
        return reproduce_stage(stage, upstream=upstream, interactive=False, **options) is not None


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


def _answer(outcome: str, message: str = "", status: str = "") -> dict[str, str]:
    return {"outcome": outcome, "message": message, "status": status}


def _failure(error: Exception) -> dict[str, str]:
    """Tell a stage that failed by itself from one that was stopped from outside, which another try may mend."""
    cause = _cause(error)
    if not isinstance(cause, StageCmdFailedError):
        return _answer("interrupted" if isinstance(cause, OSError) else "failed", str(cause))
    message = str(cause)
    return _answer("interrupted" if _by_signal(message) else "failed", message, f"exited with {_status(message)}")


def _status(message: str) -> int:
    """Return the exit status of a command; DVC keeps it in its text only."""
    return int(message.rsplit(" ", 1)[-1])


def _by_signal(message: str) -> bool:
    """Whether the command ended by a signal: its exit status is -n or 128+n."""
    status = _status(message)
    return status < 0 or 128 < status <= 128 + signal.NSIG
