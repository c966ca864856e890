"""A worker as a process of its own, with handlers that do what a test asks for and note when.

A note is one line in the file NOTES: what was done, the job's key, the process, and the monotonic clock in seconds.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import datetime

from domain.events import operations as events
from domain.events.streams import EventType
from domain.work.operations import Kind
from jobs.worker import Worker
from kernel.clock import utc_now
from kernel.logs import configure_logging
from kernel.settings import get_settings
from models.database import connected, transactional
from models.jobs import Job

BEAT_S = 0.005
BEATS_PER_WRITE = 10
BEATING_S = 2.5


def note(what: str, key: str) -> None:
    line = f"{what} {key} {os.getpid()} {time.monotonic():.6f}\n"
    file = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND)
    os.write(file, line.encode())
    os.close(file)


@transactional
async def write_event(key: str) -> None:
    """Write one row of the database in the name of this process."""
    payload = {"pid": os.getpid()}
    await events.append(stream=f"tests:{key}", type=EventType.ORDER_CHANGED, payload=payload, now=utc_now())


async def handle(job: Job, now: datetime) -> None:
    note("enter", job.key)
    match job.payload["does"]:
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            await asyncio.sleep(3_600)
        case "beat":
            until_s = time.monotonic() + BEATING_S
            beats = 0
            while time.monotonic() < until_s:
                note("beat", job.key)
                if beats % BEATS_PER_WRITE == 0:
                    await write_event(job.key)
                    note("write", job.key)
                beats += 1
                await asyncio.sleep(BEAT_S)
        case "quick":
            await asyncio.sleep(BEAT_S)
    note("leave", job.key)


async def main() -> None:
    settings = get_settings()
    configure_logging(log_format="console", level="INFO")
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with connected(settings.database):
        worker = Worker({Kind.QUERY_PAYMENT: handle}, settings)
        worker.start()
        note("started", "-")
        await stopping.wait()
        await worker.stop()


if __name__ == "__main__":
    asyncio.run(main())
