"""The worker of the deployments: `python -m flows.pool_worker` works until it is told to end."""

import asyncio
import os
import sys

from flows import settings


async def work() -> None:
    """Run what the deployments have to run, until the process is ended."""
    from prefect.client.orchestration import get_client
    from prefect.utilities.processutils import setup_signal_handlers_worker
    from prefect.workers.base import BaseWorker

    from flows.missed_runs import OnceForAllMissed
    from flows.own_job import OwnJobWorker

    async with get_client() as client:
        kind = (await client.read_work_pool(settings.POOL)).type
    worker = OwnJobWorker if kind == OwnJobWorker.type else BaseWorker.get_worker_class_from_type(kind)
    if worker is None:
        sys.exit(f"error: the work pool is of type {kind}: install the package of Prefect's that brings its worker")
    setup_signal_handlers_worker(os.getpid(), f"the {kind} worker", print)
    with_ours = type("PoolWorker", (OnceForAllMissed, worker), {"__dispatch_key__": staticmethod(lambda: "pool")})
    await with_ours(work_pool_name=settings.POOL).start()


if __name__ == "__main__":
    settings.apply()  # before Prefect is imported
    asyncio.run(work())
