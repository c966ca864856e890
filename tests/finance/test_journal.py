"""The journal says what the ledger's events say: once, in order, and on the right day."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from tortoise.exceptions import IntegrityError

from domain.events.operations import append
from domain.events.ports import StoredEvent
from domain.events.streams import EventType, ledger_stream
from domain.finance import audit, operations, queries
from domain.finance.operations import EventsMissing
from domain.finance.rules import EventUnreadable, lines_of
from domain.ledger import postings
from domain.ledger.shards import LEDGER_SHARDS
from kernel.clock import utc_now
from models.database import transactional
from models.events import Event
from models.finance import FinanceCursor, FinanceGeneration, FinanceJournal
from tests.ledger.booking import CLEARING, book, pay, run_sql, somebodys, user_in

NOON = datetime(2026, 4, 21, 4, 0, tzinfo=UTC)
LATE = datetime(2026, 4, 21, 16, 0, tzinfo=UTC)
OWNER = user_in(5)


async def project(shard: int = 5, *, generation: int = 1, limit: int = 100) -> int:
    return await operations.project(generation=generation, shard=shard, limit=limit, now=NOON)


async def journal(generation: int = 1) -> Sequence[FinanceJournal]:
    return await FinanceJournal.filter(generation=generation).order_by("stream", "position", "line_number")


def event(**payload: Any) -> StoredEvent:
    whole = {
        "key": "k",
        "user_id": str(OWNER),
        "order_id": None,
        "business_day": "2026-04-21",
        "lines": [{"account": "loss", "amount_fen": 3}, {"account": "fee_expense", "amount_fen": -3}],
    }
    return StoredEvent("ledger:05", 9, EventType.LEDGER_POSTED, {**whole, **payload}, NOON)


class TestLines:
    def test_a_line_is_a_debit_or_a_credit(self) -> None:
        first, second = lines_of(event())
        assert (first.position, first.line_number, first.account) == (9, 1, "loss")
        assert (first.debit_fen, first.credit_fen, second.debit_fen, second.credit_fen) == (3, 0, 0, 3)
        assert (first.user_id, first.order_id, first.shard) == (OWNER, None, 5)
        assert (first.business_day, first.occurred_at) == (date(2026, 4, 21), NOON)

    @pytest.mark.parametrize(
        "payload",
        [{"lines": None}, {"lines": [{}]}, {"lines": [{"account": "loss", "amount_fen": "3"}]}, {"user_id": "nobody"},
         {"business_day": "yesterday"}, {"lines": 7}],
    )  # fmt: skip
    def test_what_is_no_posting_is_not_guessed(self, payload: dict[str, Any]) -> None:
        with pytest.raises(EventUnreadable):
            lines_of(event(**payload))

    def test_an_event_of_another_type_is_no_posting(self) -> None:
        with pytest.raises(EventUnreadable):
            lines_of(StoredEvent("ledger:05", 1, "order.changed", {}, NOON))


@pytest.mark.usefixtures("database")
class TestProject:
    async def test_each_line_is_written(self) -> None:
        whose = somebodys(OWNER)
        await book(pay(whose, 500), now=NOON)
        await book(postings.failed(whose, attempt=1, amount_fen=500), now=LATE)
        assert await project() == 2
        lines = await journal()
        assert [(line.position, line.line_number, line.account, line.debit_fen, line.credit_fen) for line in lines] == [
            (1, 1, CLEARING, 500, 0),
            (1, 2, postings.TRANSIT, 0, 500),
            (2, 1, postings.TRANSIT, 500, 0),
            (2, 2, postings.REFUNDS_PAYABLE, 0, 500),
        ]
        assert [line.business_day for line in lines] == [date(2026, 4, 21)] * 2 + [date(2026, 4, 22)] * 2
        assert [line.occurred_at for line in lines] == [NOON] * 2 + [LATE] * 2
        assert {(line.stream, line.shard, line.user_id, line.order_id) for line in lines} == {
            ("ledger:05", 5, OWNER, whose.order_id)
        }
        assert lines[2].posting_key == f"{whose.order_id}:failed:1"
        assert await audit.findings() == []

    async def test_it_goes_on_behind_its_cursor(self) -> None:
        for _ in range(5):
            await book(pay(somebodys(OWNER)))
        assert [await project(limit=2) for _ in range(4)] == [2, 2, 1, 0]
        assert (await FinanceCursor.get()).position == 5
        assert [line.position for line in await journal()] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
        assert await project(shard=6) == 0

    async def test_what_was_read_before_is_not_written_again(self) -> None:
        for _ in range(3):
            await book(pay(somebodys(OWNER)))
        await project()
        before = await FinanceJournal.all().order_by("id").values()
        await FinanceCursor.all().update(position=1)
        assert await project() == 2
        assert await FinanceJournal.all().order_by("id").values() == before
        assert await audit.findings() == []

    async def test_a_batch_is_whole_or_has_not_happened(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The connection breaks when the lines are written and the cursor is not moved yet."""
        await book(pay(somebodys(OWNER)))

        write = operations._write

        async def then_gone(*arguments: Any) -> None:
            await write(*arguments)
            raise OSError("the database is gone")

        with monkeypatch.context() as patch:
            patch.setattr(operations, "_write", then_gone)
            with pytest.raises(OSError, match="gone"):
                await project()
        assert await journal() == []
        assert await FinanceCursor.all().count() == 0
        assert await project() == 1

    async def test_it_stops_at_what_it_cannot_read(self) -> None:
        await book(pay(somebodys(OWNER)))

        @transactional
        async def stray() -> None:
            await append(stream=ledger_stream(5), type=EventType.ORDER_CHANGED, payload={}, now=NOON)

        await stray()
        await book(pay(somebodys(OWNER)))
        assert await project(limit=1) == 1
        for _ in range(2):
            with pytest.raises(EventUnreadable):
                await project()
        assert (await FinanceCursor.get()).position == 1
        assert (await queries.lag(generation=1, now=utc_now())).events_behind == 2

    async def test_it_stops_at_a_gap(self) -> None:
        for _ in range(3):
            await book(pay(somebodys(OWNER)))
        await Event.filter(position=2).delete()
        with pytest.raises(EventsMissing):
            await project()
        assert await journal() == []

    async def test_many_readers_write_each_line_once(self) -> None:
        users = [user_in(shard) for shard in range(4)]
        for number in range(40):
            await book(pay(somebodys(users[number % 4])))

        async def read(reader: int) -> int:
            total = 0
            while (await queries.lag(generation=1, now=utc_now())).events_behind:
                for turn in range(4):
                    total += await project(shard=(reader + turn) % 4, limit=3)
            return total

        assert sum(await asyncio.gather(*(read(reader) for reader in range(5)))) == 40
        assert await FinanceJournal.all().count() == 80
        assert await audit.findings() == []


@pytest.mark.usefixtures("database")
class TestLag:
    async def test_nothing_to_read_is_no_lag(self) -> None:
        lag = await queries.lag(generation=1, now=NOON)
        assert (lag.events_behind, lag.seconds_behind, list(lag.streams)) == (0, 0.0, [])

    async def test_it_is_counted_in_events_and_in_seconds_of_the_oldest(self) -> None:
        other = user_in(9)
        await book(pay(somebodys(OWNER)), now=NOON)
        await project()
        await book(pay(somebodys(OWNER)), pay(somebodys(OWNER)), now=NOON + timedelta(seconds=10))
        await book(pay(somebodys(other)), now=NOON + timedelta(seconds=5))
        lag = await queries.lag(generation=1, now=NOON + timedelta(seconds=70))
        assert (lag.generation, lag.events_behind, lag.seconds_behind) == (1, 3, 65.0)
        assert [(stream.shard, stream.position, stream.events_behind) for stream in lag.streams] == [
            (5, 1, 2),
            (9, 0, 1),
        ]
        assert lag.streams[1].since == NOON + timedelta(seconds=5)
        await project()
        await project(shard=9)
        assert (await queries.lag(generation=1, now=NOON + timedelta(days=1))).seconds_behind == 0.0


@pytest.mark.usefixtures("database")
class TestGenerations:
    @pytest.fixture(autouse=True)
    async def _opened(self, database: str) -> None:
        await operations.open_journal(now=NOON)
        for shard in range(3):
            await book(pay(somebodys(user_in(shard))))
            await project(shard)

    async def test_the_first_is_opened_once(self) -> None:
        await operations.open_journal(now=LATE)
        assert [(row.number, row.current_since) for row in await FinanceGeneration.all()] == [(1, NOON)]
        assert await queries.current_generation() == 1
        assert await queries.open_generations() == [1]

    async def test_a_new_one_becomes_current_when_it_has_read_as_much(self) -> None:
        number = await operations.begin_generation(now=LATE)
        assert (number, await queries.open_generations(), await queries.current_generation()) == (2, [1, 2], 1)
        assert await operations.begin_generation(now=LATE) == 2
        assert not await operations.complete_generation(generation=2, now=LATE)
        for shard in range(2):
            await project(shard, generation=2)
        assert not await operations.complete_generation(generation=2, now=LATE)
        await project(2, generation=2)
        # Neither has this one, so it does not matter.
        await book(pay(somebodys(user_in(4))))
        assert await operations.complete_generation(generation=2, now=LATE)
        assert await operations.complete_generation(generation=2, now=LATE)
        assert await queries.open_generations() == [2]
        first, second = [
            [(line.stream, line.position, line.line_number, line.account) for line in lines]
            for lines in (await journal(1), await journal(2))
        ]
        assert first == second
        assert await operations.begin_generation(now=LATE) == 3

    async def test_a_wrong_journal_is_written_anew_and_kept(self) -> None:
        with pytest.raises(IntegrityError):
            await run_sql("UPDATE finance_journal SET account = 'loss'")
        line = (await FinanceJournal.all().values())[0]
        doubled = {name: value for name, value in line.items() if name != "id"} | {"line_number": 7}
        await FinanceJournal(**doubled).save(force_create=True)
        assert {finding.rule for finding in await audit.findings()} == {audit.JOURNAL_RULE, audit.DAYS_RULE}
        number = await operations.begin_generation(now=LATE)
        for shard in range(LEDGER_SHARDS):
            await project(shard, generation=number)
        assert await operations.complete_generation(generation=number, now=LATE)
        assert await audit.findings() == []
        assert len(await journal(1)) == 7
        assert len(await journal(number)) == 6

    async def test_two_who_begin_begin_the_same(self) -> None:
        numbers = await asyncio.gather(*(operations.begin_generation(now=LATE) for _ in range(5)))
        assert numbers == [2] * 5
