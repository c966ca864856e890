"""How the lines to payment channels do: kept in rows that all processes share, and moved by their calls and by probes.

A mark is written by compare-and-set on its version; whoever loses reads again and applies its own evidence anew, so
that no failure is lost among those that come at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from domain.payments import health as rules
from domain.payments.health import Health, Thresholds
from domain.payments.ports import ChannelRefused, ChannelUnavailable, Line
from kernel.ids import new_id, numbered
from kernel.logs import get_logger
from models.database import transactional
from models.payments import ChannelHealth

# More often than this nobody loses against others in a row, or something is wrong.
TRIES_MAX = 50

log = get_logger(__name__)


async def of_lines(names: Iterable[str]) -> dict[str, Health]:
    """Return how the lines are; one of which nobody has written anything is healthy."""
    wanted = list(names)
    found = {row.line: _read(row) for row in await ChannelHealth.filter(line__in=wanted)}
    return {name: found.get(name, rules.HEALTHY) for name in wanted}


async def every_line() -> list[ChannelHealth]:
    return await ChannelHealth.all().order_by("line")


async def note_failure(*, line: str, thresholds: Thresholds, now: datetime) -> None:
    await _move(line, lambda health: rules.after_failure(health, thresholds=thresholds, now=now), now)


async def note_success(*, line: str, now: datetime) -> None:
    await _move(line, lambda health: rules.after_success(health, now=now), now)


async def probe(*, lines: Sequence[Line], thresholds: Thresholds, clock: Callable[[], datetime]) -> None:
    """Ask every line that is DOWN and due about an order that nobody has made, and note whether it answers.

    That moves no money. Any answer will do, a refusal too: what matters is that somebody is there to give one.
    """
    standing = await of_lines(line.name for line in lines)
    for line in lines:
        health = standing[line.name]
        if health.probe_at is None or health.probe_at > clock():
            continue
        try:
            await line.channel.query(numbered(new_id(), 1))
        except ChannelUnavailable:
            await note_failure(line=line.name, thresholds=thresholds, now=clock())
            continue
        except ChannelRefused as error:
            log.info("channel.probe_refused", line=line.name, code=error.code)
        await _note_probe(line.name, thresholds, clock())


async def _note_probe(line: str, thresholds: Thresholds, now: datetime) -> None:
    await _move(line, lambda health: rules.after_probe(health, thresholds=thresholds, now=now), now)


def next_probe_at(*, interval: timedelta, now: datetime) -> datetime:
    """Return when to look again for lines to probe; half an interval keeps a probe from being late by a whole one."""
    return now + interval / 2


async def _move(line: str, rule: Callable[[Health], Health], now: datetime) -> None:
    for _ in range(TRIES_MAX):
        row = await ChannelHealth.get_or_none(line=line)
        before = _read(row) if row else rules.HEALTHY
        after = rule(before)
        if after == before:
            return
        if await _write(line, row, after, now):
            if after.mark is not before.mark:
                log.warning("channel.mark", line=line, before=before.mark, after=after.mark, failures=after.failures)
            return
    raise RuntimeError(f"the mark of {line} could not be written")


@transactional
async def _write(line: str, row: ChannelHealth | None, health: Health, now: datetime) -> bool:
    values = {
        "mark": health.mark,
        "failures": health.failures,
        "since": health.since or now,
        "failed_at": health.failed_at,
        "probe_at": health.probe_at,
    }
    if row is None:
        # Of several that write the first row one gets it, and the others find that it is not theirs.
        token = new_id()
        fresh = ChannelHealth(id=token, line=line, version=1, **values)
        await ChannelHealth.bulk_create([fresh], ignore_conflicts=True)
        return await ChannelHealth.filter(id=token).exists()
    changed = await ChannelHealth.filter(line=line, version=row.version).update(version=row.version + 1, **values)
    return changed == 1


def _read(row: ChannelHealth) -> Health:
    return Health(row.mark, row.failures, row.since, row.failed_at, row.probe_at)
