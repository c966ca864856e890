"""The consumer: woken by commits, beside others, and killed at any moment."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from domain.finance import audit, operations, queries
from domain.ledger import audit as ledger_audit
from gateways.assembly import third_parties
from jobs.assembly import working
from jobs.finance import Projection
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.settings import Settings
from models.database import connected
from models.finance import FinanceCursor, FinanceJournal
from tests.factories import SEALER
from tests.ledger.booking import book, lift_guards, pay, run_sql, somebodys, user_in
from tests.sandbox_fixtures import Sandbox

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 30.0
# Long enough that a test which needs the poll to pass would time out.
NEVER_MS = 3_600_000
KILLS = 12


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not await condition():  # noqa: ASYNC110 -- another process changes what is waited for.
            await asyncio.sleep(0.005)


async def read(count: int) -> bool:
    return await FinanceJournal.all().count() >= 2 * count


@asynccontextmanager
async def projecting(*, poll_interval_ms: int = NEVER_MS) -> AsyncIterator[Projection]:
    projection = Projection(Settings(finance_poll_interval_ms=poll_interval_ms, finance_pause_ms=0))
    projection.start()
    try:
        yield projection
    finally:
        await projection.stop()


@pytest.mark.usefixtures("database")
class TestLoop:
    async def test_a_commit_wakes_it(self) -> None:
        async with projecting():
            for number in range(1, 4):
                await book(pay(somebodys()))
                await eventually(partial(read, number))
        assert await audit.findings() == []

    async def test_it_polls_for_what_it_was_not_woken_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("domain.events.signals.notify", lambda: None)
        async with projecting(poll_interval_ms=10):
            await book(pay(somebodys()))
            await eventually(lambda: read(1))

    async def test_it_reads_more_than_one_batch(self) -> None:
        user_id = new_id()
        for _ in range(7):
            await book(pay(somebodys(user_id)))
        assert await Projection(Settings(finance_batch_size_max=3)).catch_up() == 7
        assert (await queries.lag(generation=1, now=utc_now())).events_behind == 0

    async def test_errors_are_waited_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        project, failures = operations.project, 3

        async def unreliable(*, generation: int, shard: int, limit: int, now: object) -> int:
            nonlocal failures
            if failures:
                failures -= 1
                raise OSError("the database is gone")
            return await project(generation=generation, shard=shard, limit=limit, now=utc_now())

        monkeypatch.setattr(operations, "project", unreliable)
        async with projecting():
            await book(pay(somebodys()))
            await eventually(lambda: read(1))
        assert failures == 0

    async def test_it_says_when_it_is_too_far_behind(self) -> None:
        await book(pay(somebodys()), now=utc_now() - timedelta(minutes=5))
        with capture_logs() as logs:
            await Projection(Settings(finance_lag_warning_s=240)).catch_up()
            await Projection(Settings(finance_lag_warning_s=240)).catch_up()
        (warning,) = [entry for entry in logs if entry["event"] == "finance.behind"]
        assert (warning["events_behind"], warning["log_level"]) == (1, "warning")
        assert 300 <= warning["seconds_behind"] < 400

    async def test_stopping_what_was_never_started_does_nothing(self) -> None:
        await Projection(Settings()).stop()
        assert await FinanceCursor.all().count() == 0

    async def test_the_worker_runs_it(self, sandbox: Sandbox) -> None:
        settings = sandbox.settings().model_copy(update={"finance_pause_ms": 0})
        async with third_parties(settings) as parties, working(settings, parties, SEALER):
            await book(pay(somebodys()))
            await eventually(lambda: read(1))


async def _start(url: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "tests.finance.projection_process", url]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"started\n"
    return process


async def test_killed_at_any_moment_it_loses_and_doubles_nothing(database_url: str) -> None:
    """Two processes read while a third one posts; one of them is killed again and again."""
    users = [user_in(shard) for shard in (1, 2, 3)]
    booked, enough = 0, asyncio.Event()

    async def post_on() -> None:
        nonlocal booked
        while not enough.is_set():
            await book(*(pay(somebodys(user_id)) for user_id in users))
            booked += len(users)

    async with connected(database_url):
        posting = asyncio.create_task(post_on())
        survivor = await _start(database_url)
        try:
            for _ in range(KILLS):
                victim = await _start(database_url)
                before = await FinanceJournal.all().count()
                await eventually(partial(_grown, before))
                victim.kill()
                await victim.wait()
        finally:
            survivor.kill()
            await survivor.wait()
            enough.set()
            await posting
        await Projection(Settings()).catch_up()
        lag = await queries.lag(generation=1, now=utc_now())
        assert (lag.events_behind, await FinanceJournal.all().count()) == (0, 2 * booked)
        assert [*await ledger_audit.findings(), *await audit.findings()] == []


async def _grown(before: int) -> bool:
    return await FinanceJournal.all().count() > before + 20


async def test_a_stream_that_somebody_holds_is_left_to_them(postgres_url: str) -> None:
    async with connected(postgres_url):
        first, second = user_in(1), user_in(2)
        await book(pay(somebodys(first)), pay(somebodys(second)))
        await Projection(Settings()).catch_up()
        await book(pay(somebodys(first)), pay(somebodys(second)))
        other = await asyncpg.connect(postgres_url)
        try:
            async with other.transaction():
                await other.execute("SELECT 1 FROM finance_cursor WHERE shard = 1 FOR UPDATE")
                async with asyncio.timeout(TIMEOUT_S):
                    assert await Projection(Settings()).catch_up() == 1
                lag = await queries.lag(generation=1, now=utc_now())
                assert [stream.shard for stream in lag.streams] == [1]
        finally:
            await other.close()
        assert await Projection(Settings()).catch_up() == 1
        assert await audit.findings() == []


class TestCommands:
    async def _run(self, url: str, *arguments: str, **environment: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "jobs", *arguments,
            stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={"DATABASE_URL": url, "PATH": "", **environment},
        )  # fmt: skip
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def test_the_status_says_how_far_behind(self, database_url: str) -> None:
        code, output = await self._run(database_url, "finance-status")
        assert (code, output) == (0, "journal 1 is 0 events and 0.0 seconds behind the ledger\n")
        async with connected(database_url):
            await book(pay(somebodys(user_in(7))), pay(somebodys(user_in(7))), now=utc_now() - timedelta(hours=1))
        code, output = await self._run(database_url, "finance-status")
        assert code == 1
        assert output.startswith("journal 1 is 2 events and 36")
        assert "ledger:07: 2 behind position 0" in output
        limit = {"YOUKA_FINANCE_LAG_WARNING_S": "7200"}
        code, output = await self._run(database_url, "finance-status", "--json", **limit)
        figures = json.loads(output)
        assert (code, figures["events_behind"], figures["streams"][0]["shard"]) == (0, 2, 7)
        assert 3_600 <= figures["seconds_behind"] < 3_700

    async def test_a_rebuilt_journal_takes_the_place_of_a_wrong_one(self, database_url: str) -> None:
        async with connected(database_url):
            for _ in range(3):
                await book(pay(somebodys()))
            await Projection(Settings()).catch_up()
            await lift_guards()
            await run_sql("UPDATE finance_journal SET debit_fen = debit_fen + 1 WHERE debit_fen > 0")
            assert await audit.findings() != []
        code, output = await self._run(database_url, "rebuild-journal")
        assert (code, output) == (
            0,
            "writing journal 2\njournal 2 has everything that the one before it had, and is the current one now\n",
        )
        async with connected(database_url):
            assert await queries.current_generation() == 2
            assert await audit.findings() == []
            assert await FinanceJournal.all().count() == 12
            await book(pay(somebodys()))
            await Projection(Settings()).catch_up()
            assert await FinanceJournal.filter(generation=2).count() == 8
            assert await FinanceJournal.filter(generation=1).count() == 6

    async def test_a_rebuild_goes_on_where_it_was_interrupted(self, sqlite_url: str) -> None:
        async with connected(sqlite_url):
            for shard in range(3):
                await book(pay(somebodys(user_in(shard))))
            await Projection(Settings()).catch_up()
            await operations.begin_generation(now=utc_now())
            await operations.project(generation=2, shard=0, limit=1, now=utc_now())
        code, output = await self._run(sqlite_url, "rebuild-journal")
        assert (code, output.splitlines()[0]) == (0, "writing journal 2")
        async with connected(sqlite_url):
            assert await queries.current_generation() == 2
            assert await audit.findings() == []

    async def test_months_are_made_by_hand(self, postgres_url: str, sqlite_url: str) -> None:
        ahead = {"YOUKA_LEDGER_PARTITIONS_AHEAD_MONTHS": "5"}
        code, output = await self._run(postgres_url, "prepare-partitions", **ahead)
        assert code == 0
        assert output.count("created ledger_entry_y") == 2
        assert await self._run(postgres_url, "prepare-partitions", **ahead) == (0, "every month is there\n")
        assert await self._run(sqlite_url, "prepare-partitions") == (0, "every month is there\n")
