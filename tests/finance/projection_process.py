"""A process that carries the journal on until it is killed: `python -m tests.finance.projection_process URL`."""

from __future__ import annotations

import asyncio
import sys

from jobs.finance import Projection
from kernel.settings import Settings
from models.database import connected


async def main(url: str) -> None:
    # Small batches, so that a kill finds one in the middle.
    projection = Projection(Settings(finance_batch_size_max=2, finance_pause_ms=0, finance_poll_interval_ms=5))
    async with connected(url):
        projection.start()
        sys.stdout.write("started\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
