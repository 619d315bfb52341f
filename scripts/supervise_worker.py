"""Keep a Prefect worker running: restart it when it dies; on SIGTERM, end its runs first and then the worker."""

import signal
import subprocess
import sys
import time
from typing import NoReturn

import psutil

RUN_SECONDS = 30.0
"""Seconds that a run may take to end its stages and to report."""


def main() -> NoReturn:
    """Keep a worker of the pool running."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        while True:
            subprocess.Popen([sys.executable, "-m", "flows.pool_worker"], start_new_session=True).wait()
            print("The worker has ended; starting another one.", flush=True)
            time.sleep(1)
    finally:
        end()


def end() -> None:
    """End first the runs, each of which ends its own stages and reports, and then the worker."""
    workers = psutil.Process().children()
    for processes, grace in (([run for worker in workers for run in worker.children()], RUN_SECONDS), (workers, 5.0)):
        for process in processes:
            process.terminate()
        _, alive = psutil.wait_procs(processes, timeout=grace)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive)


if __name__ == "__main__":
    main()
