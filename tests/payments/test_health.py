"""How marks move, as a table, and on both engines with processes that note at the same time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.payments import marks
from domain.payments.health import (
    HEALTHY,
    Health,
    Thresholds,
    after_failure,
    after_probe,
    after_success,
    line_name,
    merchant_of,
)
from kernel.states import HealthMark
from models.payments import ChannelHealth

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = Thresholds(
    suspect_failures=2, down_failures=4, window=timedelta(minutes=1), probe_interval=timedelta(seconds=10)
)
RECENT, LONG_AGO = NOW - timedelta(seconds=30), NOW - timedelta(minutes=5)
H, S, D = HealthMark
LINE = "wechat_pay:1900000209"


def health(mark: HealthMark, failures: int, failed_at: datetime | None = RECENT) -> Health:
    return Health(mark, failures, LONG_AGO, failed_at, RECENT if mark is D else None)


# (mark, failures, when the last one was) → what a failure, a success and an answered probe make of it.
TABLE = {
    (H, 0, None): ((H, 1), (H, 0), (H, 0)),
    (H, 1, RECENT): ((S, 2), (H, 0), (H, 1)),
    (H, 1, LONG_AGO): ((H, 1), (H, 0), (H, 1)),
    (S, 2, RECENT): ((S, 3), (H, 0), (S, 2)),
    (S, 3, RECENT): ((D, 4), (H, 0), (S, 3)),
    (S, 3, LONG_AGO): ((S, 1), (H, 0), (S, 3)),
    (D, 4, RECENT): ((D, 4), (H, 0), (S, 3)),
    (D, 4, LONG_AGO): ((D, 1), (H, 0), (S, 3)),
}


@pytest.mark.parametrize("before", TABLE)
def test_each_mark_and_each_word(before: tuple[HealthMark, int, datetime | None]) -> None:
    start = health(*before)
    failed, succeeded, probed = (
        after_failure(start, thresholds=RULES, now=NOW),
        after_success(start, now=NOW),
        after_probe(start, thresholds=RULES, now=NOW),
    )
    assert tuple((each.mark, each.failures) for each in (failed, succeeded, probed)) == TABLE[before]
    for each in (failed, succeeded, probed):
        assert (each.probe_at is not None) is (each.mark is D)
        assert each.since == (LONG_AGO if each.mark is start.mark else NOW)
    assert failed.probe_at in {None, NOW + RULES.probe_interval}


def test_on_probation_one_failure_leads_back() -> None:
    restored = after_probe(health(D, 4), thresholds=RULES, now=NOW)
    assert restored.mark is S
    assert after_failure(restored, thresholds=RULES, now=NOW).mark is D


def test_every_history_keeps_the_rules() -> None:
    steps: tuple[Callable[[Health, datetime], Health], ...] = (
        lambda found, at: after_failure(found, thresholds=RULES, now=at),
        lambda found, at: after_success(found, now=at),
        lambda found, at: after_probe(found, thresholds=RULES, now=at),
    )
    for history in itertools.product(steps, repeat=6):
        found = HEALTHY
        for number, step in enumerate(history):
            found = step(found, NOW + timedelta(seconds=number))
            assert 0 <= found.failures <= RULES.down_failures
            assert (found.probe_at is not None) is (found.mark is D)


def test_a_line_is_named_after_its_merchant() -> None:
    assert (line_name(LINE, 0), line_name(LINE, 1)) == (LINE, f"{LINE}#2")
    assert merchant_of(line_name(LINE, 1)) == merchant_of(LINE) == LINE


@pytest.mark.usefixtures("database")
class TestRows:
    async def test_nobody_has_written_anything_of_what_is_healthy(self) -> None:
        await marks.note_success(line=LINE, now=NOW)
        assert await marks.of_lines([LINE]) == {LINE: HEALTHY}
        assert await ChannelHealth.all().count() == 0

    async def test_of_failures_at_once_none_is_lost(self) -> None:
        many = replace(RULES, down_failures=100)
        await asyncio.gather(*(marks.note_failure(line=LINE, thresholds=many, now=NOW) for _ in range(12)))
        row = await ChannelHealth.get(line=LINE)
        assert (row.failures, row.version, row.mark) == (12, 12, S)

    async def test_it_goes_down_and_comes_back(self) -> None:
        for _ in range(RULES.down_failures):
            await marks.note_failure(line=LINE, thresholds=RULES, now=NOW)
        (row,) = await marks.every_line()
        assert (row.mark, row.probe_at) == (D, NOW + RULES.probe_interval)
        await marks.note_success(line=LINE, now=NOW + timedelta(seconds=1))
        (row,) = await marks.every_line()
        assert (row.mark, row.failures, row.probe_at) == (H, 0, None)
