"""The audit finds each way of cooking the books, and nothing in true ones."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from domain.finance import audit as finance_audit
from domain.finance import operations as finance
from domain.finance import queries as finance_queries
from domain.ledger import audit, postings
from domain.ledger.audit import FINDINGS_PER_RULE_MAX, Finding
from domain.ledger.postings import Whose
from domain.ledger.shards import LEDGER_SHARDS, shard_of
from kernel.clock import utc_now
from kernel.ids import new_id
from models.database import connected, dialect
from models.finance import FinanceCursor
from tests.ledger.booking import CLEARING, book, lift_guards, pay, run_sql, somebodys, top_up, user_in

OWNER = user_in(3)


async def journal_everything() -> None:
    await finance.open_journal(now=utc_now())
    for shard in range(LEDGER_SHARDS):
        while await finance.project(generation=1, shard=shard, limit=100, now=utc_now()):
            pass


@pytest.fixture
async def order(database: str) -> Whose:
    """An order that failed, of a user who also has a wallet; true books, all of them in the journal."""
    whose = somebodys(OWNER)
    await book(top_up(OWNER, 900), pay(whose, 500), pay(somebodys(user_in(7)), 70))
    await book(postings.held(whose, attempt=2, amount_fen=300))
    await book(postings.failed(whose, attempt=1, amount_fen=500))
    await journal_everything()
    return whose


async def findings() -> list[Finding]:
    return [*await audit.findings(), *await finance_audit.findings()]


async def rules_broken() -> set[str]:
    return {finding.rule for finding in await findings()}


async def test_true_books_are_proven(order: Whose) -> None:
    assert await findings() == []
    await lift_guards()
    assert await findings() == []


async def test_what_is_not_journalled_yet_is_no_finding(order: Whose) -> None:
    await book(pay(somebodys(OWNER), 5))
    assert await findings() == []
    lag = await finance_queries.lag(generation=1, now=utc_now())
    assert lag.events_behind == 1


# Each statement cooks true books, and breaks these rules at least.
COOKED = {
    "a balance moved by hand": (
        "UPDATE ledger_account SET balance_fen = balance_fen + 1 WHERE code LIKE 'channel_clearing:%'",
        {audit.REPLAYED_RULE},
    ),
    "a version counted twice": (
        "UPDATE ledger_account SET version = version + 1 WHERE code LIKE 'channel_clearing:%'",
        {audit.REPLAYED_RULE, audit.CONTIGUOUS_RULE},
    ),
    "an entry that says another amount": (
        "UPDATE ledger_entry SET amount_fen = amount_fen + 1 WHERE amount_fen = 70",
        {audit.BALANCED_RULE, audit.REPLAYED_RULE, audit.TOLD_RULE, finance_audit.JOURNAL_RULE},
    ),
    "two entries that say another amount": (
        "UPDATE ledger_entry SET amount_fen = 2 * amount_fen WHERE amount_fen IN (-70, 70)",
        {audit.REPLAYED_RULE, audit.TOLD_RULE, finance_audit.JOURNAL_RULE},
    ),
    "an entry removed": (
        "DELETE FROM ledger_entry WHERE amount_fen = 70",
        {audit.BALANCED_RULE, audit.REPLAYED_RULE, audit.TOLD_RULE, finance_audit.JOURNAL_RULE},
    ),
    "a transaction without entries": (
        "INSERT INTO ledger_transaction (id, key, shard, position, line_count, occurred_at) "
        "SELECT '00000000-0000-0000-0000-000000000000', 'empty', 0, 1, 2, MAX(occurred_at) FROM ledger_transaction",
        {audit.BALANCED_RULE},
    ),
    "one version twice": (
        "UPDATE ledger_entry SET account_version = account_version + 10 WHERE amount_fen = -500",
        {audit.CONTIGUOUS_RULE},
    ),
    "more held than there is": (
        "UPDATE ledger_account SET balance_fen = 1 WHERE code LIKE 'customer_held:%'",
        {audit.OVERDRAWN_RULE, audit.REPLAYED_RULE},
    ),
    "an account that nobody has heard of": (
        "UPDATE ledger_account SET code = 'petty_cash' WHERE code = 'refunds_payable'",
        {audit.CHART_RULE, audit.TOLD_RULE, finance_audit.JOURNAL_RULE},
    ),
    "a transaction in another shard": (
        "UPDATE ledger_transaction SET shard = 8 WHERE shard = 7",
        {audit.SHARD_RULE, audit.TOLD_RULE},
    ),
    "an entry in another shard": (
        "UPDATE ledger_entry SET shard = 8 WHERE shard = 7",
        {audit.SHARD_RULE},
    ),
    "an account in another shard": (
        "UPDATE ledger_account SET shard = 8 WHERE code LIKE 'customer_prepaid:%'",
        {audit.SHARD_RULE},
    ),
    "an entry of another user": (
        "UPDATE ledger_entry SET user_id = NULL WHERE amount_fen = -500",
        {audit.SHARD_RULE},
    ),
    "an event that tells something else": (
        "UPDATE event SET payload = REPLACE(CAST(payload AS TEXT), '-70', '-71'){cast} WHERE stream = 'ledger:07'",
        {audit.TOLD_RULE},
    ),
    "an event of another day": (
        "UPDATE event SET payload = REPLACE(CAST(payload AS TEXT), '\"20', '\"19'){cast} WHERE stream = 'ledger:07'",
        {audit.TOLD_RULE},
    ),
    "an event without lines": (
        "UPDATE event SET payload = '{{}}'{cast} WHERE stream = 'ledger:07'",
        {audit.TOLD_RULE},
    ),
    "an event removed": (
        "DELETE FROM event WHERE stream = 'ledger:07'",
        {audit.TOLD_RULE, audit.GAPLESS_RULE},
    ),
    "a line missing in the journal": (
        "DELETE FROM finance_journal WHERE debit_fen = 70",
        {finance_audit.JOURNAL_RULE, finance_audit.DAYS_RULE},
    ),
    "a line twice in the journal": (
        "INSERT INTO finance_journal (generation, stream, position, line_number, posting_key, order_id, user_id, "
        "shard, account, debit_fen, credit_fen, business_day, occurred_at) SELECT generation, stream, position, "
        "line_number + 2, posting_key, order_id, user_id, shard, account, debit_fen, credit_fen, business_day, "
        "occurred_at FROM finance_journal WHERE stream = 'ledger:07'",
        {finance_audit.JOURNAL_RULE},
    ),
    "a line of another account in the journal": (
        "UPDATE finance_journal SET account = 'loss' WHERE debit_fen = 70",
        {finance_audit.JOURNAL_RULE},
    ),
    "a cursor that has not read": (
        "UPDATE finance_cursor SET position = 0 WHERE shard = 7",
        {finance_audit.JOURNAL_RULE},
    ),
    "a cursor ahead of its stream": (
        "UPDATE finance_cursor SET position = position + 1 WHERE shard = 7",
        {finance_audit.CURSORS_RULE},
    ),
}


@pytest.mark.parametrize("cooking", COOKED)
async def test_cooked_books_are_found(order: Whose, cooking: str) -> None:
    statement, rules = COOKED[cooking]
    await lift_guards()
    await run_sql(statement.format(cast="::jsonb" if dialect() == "postgres" else ""))
    assert await rules_broken() >= rules


async def test_a_transaction_that_a_connection_without_checks_left_unfinished(sqlite_url: str) -> None:
    async with connected(sqlite_url):
        await book(pay(somebodys(OWNER)))
        await run_sql("PRAGMA foreign_keys = OFF")
        await run_sql(
            "INSERT INTO ledger_transaction (id, key, shard, position, line_count, occurred_at) "
            "VALUES ('a', 'raw', 0, 1, 2, '2026-04-21 00:00:00+00:00')"
        )
        assert await rules_broken() >= {audit.FINISHED_RULE, audit.BALANCED_RULE}


async def test_the_subject_and_the_figures_are_named(order: Whose) -> None:
    await lift_guards()
    await run_sql("UPDATE ledger_account SET balance_fen = balance_fen - 5 WHERE code = 'refunds_payable'")
    (finding,) = await findings()
    assert (finding.rule, finding.subject) == (audit.REPLAYED_RULE, "refunds_payable")
    assert finding.figures == {
        "shard": shard_of(OWNER),
        "balance_fen": -505,
        "version": 1,
        "replayed_fen": -500,
        "entry_count": 1,
    }


async def test_no_more_rows_are_read_than_can_be_shown(database: str) -> None:
    await book(*(top_up(new_id(), 1) for _ in range(FINDINGS_PER_RULE_MAX + 20)))
    await lift_guards()
    await run_sql("UPDATE ledger_account SET balance_fen = 1")
    found = await audit.findings()
    assert len([finding for finding in found if finding.rule == audit.OVERDRAWN_RULE]) == FINDINGS_PER_RULE_MAX


class TestCommand:
    async def _run(self, url: str, *arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "jobs", "audit-ledger", *arguments,
            stdout=asyncio.subprocess.PIPE, env={"DATABASE_URL": url, "PATH": ""},
        )  # fmt: skip
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def test_it_says_what_holds_and_what_does_not(self, database_url: str) -> None:
        async with connected(database_url):
            await book(postings.settled(reference="s1", clearing=CLEARING, amount_fen=70, fee_fen=0))
            await journal_everything()
        code, output = await self._run(database_url)
        assert code == 0, output
        assert output.count("holds") >= len(COOKED) // 2
        assert "BROKEN" not in output
        assert "journal 1: 0 events" in output
        async with connected(database_url):
            await lift_guards()
            await run_sql("DELETE FROM ledger_entry WHERE amount_fen = 70")
            await FinanceCursor.filter(shard=shard_of(None)).update(position=0)
        code, output = await self._run(database_url)
        assert code == 1
        assert f"BROKEN  {audit.BALANCED_RULE}" in output
        assert f"{postings.ESCROW_OPERATING}: {audit.REPLAYED_RULE}: shard 0, balance_fen 70" in output

    async def test_it_says_so_in_json(self, sqlite_url: str) -> None:
        async with connected(sqlite_url):
            await book(pay(somebodys(OWNER), 70))
            await lift_guards()
            await run_sql("UPDATE ledger_account SET balance_fen = 1 WHERE code = 'recharge_transit'")
        code, output = await self._run(sqlite_url, "--json")
        document = json.loads(output)
        assert (code, document["holds"], document["lag"]["events_behind"]) == (1, False, 1)
        holding = {rule["rule"]: rule["holds"] for rule in document["rules"]}
        assert not holding[audit.OVERDRAWN_RULE]
        assert holding[audit.TOLD_RULE]
        (overdrawn,) = [found for found in document["findings"] if found["rule"] == audit.OVERDRAWN_RULE]
        assert (overdrawn["subject"], overdrawn["figures"]["balance_fen"]) == ("recharge_transit", 1)
