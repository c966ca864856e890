"""The machine under the benchmark: its cores, who runs on which, and the CPU time of a process."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("strawberry-graphql", "ariadne", "graphql-core", "tortoise-orm", "asyncpg", "starlette", "uvicorn")
CLOCK_PID_SHIFT, CLOCK_OF_SCHEDULER = 3, 2
KIB_PER_MIB = 1024


class CpuTimeUnknown(RuntimeError):
    """The process is gone, or this system tells nobody how long it has run."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The cores of the measured server, and those of everything else; None where the system decides."""

    server: frozenset[int] | None
    others: frozenset[int] | None

    @property
    def pinned(self) -> bool:
        return self.server is not None


def cores() -> list[int]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def placement() -> Placement:
    """One core for the measured server and the rest for the load and the database, where there are two or more."""
    available = cores()
    if len(available) < 2 or not hasattr(os, "sched_setaffinity"):
        return Placement(server=None, others=None)
    return Placement(server=frozenset(available[:1]), others=frozenset(available[1:]))


@contextmanager
def running_on(wanted: frozenset[int] | None) -> Iterator[None]:
    """Keep this process, and the processes that it starts meanwhile, on these cores."""
    if wanted is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def move(pid: int, wanted: frozenset[int] | None) -> None:
    """Put every thread of a running process on these cores; those that it starts later stay with them."""
    if wanted is not None:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), wanted)


def cpu_seconds(pid: int) -> float:
    """Return the time that a process has run, all its threads included, those that ended too. Raises CpuTimeUnknown.

    It is the scheduler's own account, in nanoseconds: the clock that clock_getcpuclockid(3) names, by the arithmetic
    of https://github.com/torvalds/linux/blob/master/include/linux/posix-timers.h. `ps` knows it elsewhere, in coarser
    steps.
    """
    if sys.platform != "linux":
        return _cpu_seconds_of_ps(pid)
    try:
        return time.clock_gettime((~pid << CLOCK_PID_SHIFT) | CLOCK_OF_SCHEDULER)
    except OSError as error:
        raise CpuTimeUnknown(f"process {pid} is gone") from error


def forget_peak(pid: int) -> None:
    """Have the system count the peak of the process's memory from now on, where it lets us.

    https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
    """
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_rss_mib(pid: int) -> float:
    """Return the most memory that the process has held since `forget_peak`; 0 where this system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii", errors="replace")
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / KIB_PER_MIB for line in status.splitlines() if line.startswith("VmHWM:")), 0.0)


def _cpu_seconds_of_ps(pid: int) -> float:
    answer = subprocess.run(
        ["ps", "-o", "time=", "-p", str(pid)],  # noqa: S607 -- it stands elsewhere on each system.
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    if not answer:
        raise CpuTimeUnknown(f"ps does not know process {pid}")
    days, _, clock = answer.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds + 86_400 * int(days or 0)


def load_average() -> float | None:
    """Return how many processes wanted to run during the last minute, None where the system does not count them."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def describe(place: Placement) -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": len(cores()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()})",
        "packages": {name: version(name) for name in PACKAGES},
        "server_cores": sorted(place.server) if place.server else None,
        "other_cores": sorted(place.others) if place.others else None,
        "load_average_before": load_average(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
