"""What a call that failed or succeeded says of the line that it took; no I/O.

| mark | a failure | a payment that could be made | a probe that was answered |
|---|---|---|---|
| HEALTHY | counted; SUSPECT from `suspect_failures` on, DOWN from `down_failures` on | stays | stays |
| SUSPECT | counted; DOWN from `down_failures` on | HEALTHY | stays |
| DOWN | the next probe is put off | HEALTHY | SUSPECT, and one failure leads back |

Failures count while each comes within the window of the one before it. What restores a line is what payers need of it:
a merchant order that was made. A query that is answered does not, since a channel can answer those and make no orders.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from kernel.settings import Settings
from kernel.states import HealthMark

# Behind the merchant, where a line is not its first.
ORDINAL_MARK = "#"


@dataclass(frozen=True, slots=True)
class Thresholds:
    suspect_failures: int
    down_failures: int
    window: timedelta
    probe_interval: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            suspect_failures=settings.channel_suspect_failures,
            down_failures=settings.channel_down_failures,
            window=timedelta(seconds=settings.channel_failure_window_s),
            probe_interval=timedelta(seconds=settings.channel_probe_interval_s),
        )


@dataclass(frozen=True, slots=True)
class Health:
    """`since` is when the mark was set, None for what was never anything but healthy. `probe_at` is set while DOWN."""

    mark: HealthMark
    failures: int
    since: datetime | None
    failed_at: datetime | None
    probe_at: datetime | None


HEALTHY = Health(HealthMark.HEALTHY, 0, None, None, None)


def line_name(merchant: str, ordinal: int) -> str:
    """Return the name of a merchant's first, second, … address, counted from 0."""
    return merchant if ordinal == 0 else f"{merchant}{ORDINAL_MARK}{ordinal + 1}"


def merchant_of(line: str) -> str:
    return line.partition(ORDINAL_MARK)[0]


def after_failure(health: Health, *, thresholds: Thresholds, now: datetime) -> Health:
    recent = health.failed_at is not None and now - health.failed_at <= thresholds.window
    failures = min(health.failures + 1, thresholds.down_failures) if recent else 1
    if health.mark is HealthMark.DOWN or failures >= thresholds.down_failures:
        down = _marked(health, HealthMark.DOWN, now)
        return replace(down, failures=failures, failed_at=now, probe_at=now + thresholds.probe_interval)
    suspect = health.mark is HealthMark.SUSPECT or failures >= thresholds.suspect_failures
    marked = _marked(health, HealthMark.SUSPECT if suspect else HealthMark.HEALTHY, now)
    return replace(marked, failures=failures, failed_at=now, probe_at=None)


def after_success(health: Health, *, now: datetime) -> Health:
    """Return the line of which a payer has just had what they need."""
    if health.mark is HealthMark.HEALTHY and not health.failures:
        return health
    return replace(_marked(health, HealthMark.HEALTHY, now), failures=0, failed_at=None, probe_at=None)


def after_probe(health: Health, *, thresholds: Thresholds, now: datetime) -> Health:
    """Return the line that has answered a probe: it is chosen again, on probation."""
    if health.mark is not HealthMark.DOWN:
        return health
    on_probation = max(thresholds.down_failures - 1, 0)
    return replace(_marked(health, HealthMark.SUSPECT, now), failures=on_probation, failed_at=now, probe_at=None)


def _marked(health: Health, mark: HealthMark, now: datetime) -> Health:
    return health if health.mark is mark else replace(health, mark=mark, since=now)
