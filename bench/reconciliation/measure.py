"""One run in a process of its own, whose memory is nobody else's: `measure URL BILL FOLDER`; prints JSON."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from datetime import timedelta
from pathlib import Path

import orjson

from bench.reconciliation.books import DAY, Bill
from domain.reconciliation.operations import Limits, reconcile
from kernel.clock import utc_now
from kernel.settings import Settings
from models.database import connected, patient

KIB = 1024


def peak_bytes() -> int:
    """Return the most memory that this process has had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB


async def measure(url: str, bill: Path, folder: Path) -> dict[str, object]:
    settings = Settings()
    limits = Limits(
        lines_in_memory_max=settings.reconciliation_lines_in_memory_max,
        differences_max=settings.reconciliation_differences_max,
        lease=timedelta(seconds=settings.reconciliation_lease_s),
    )
    async with connected(url, patient(settings)):
        before_bytes, began_s, cpu_s = peak_bytes(), time.perf_counter(), time.process_time()
        run = await reconcile(
            source=Bill(), day=DAY, folder=folder, limits=limits, owner="bench", clock=utc_now, bill=bill
        )
        return {
            "seconds": time.perf_counter() - began_s,
            "cpu_s": time.process_time() - cpu_s,
            "before_bytes": before_bytes,
            "peak_bytes": peak_bytes(),
            "bill_lines": run.bill_line_count,
            "matched": run.matched_count,
            "counts": run.counts,
        }


if __name__ == "__main__":
    sys.stdout.write(orjson.dumps(asyncio.run(measure(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))).decode())
