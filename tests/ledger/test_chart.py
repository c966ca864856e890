"""The chart of accounts as data, and the database that holds the same rules."""

from __future__ import annotations

from uuid import UUID

import pytest
from tortoise.exceptions import IntegrityError

from domain.ledger.chart import CHART, AccountKind, Side, UnknownAccount, kind_of
from domain.ledger.postings import Line, Posting
from domain.ledger.shards import HOUSE_SHARD, LEDGER_SHARDS, shard_of
from kernel.clock import utc_now
from kernel.ids import new_id
from models.ledger import LedgerAccount

USER = UUID("01a210d1-ce85-78ab-8570-826773425443")
IN_DESIGN = {
    "channel_clearing:{channel}:{sub_mchid}",
    "escrow:operating",
    "escrow:reserve",
    "escrow:operating_held",
    "escrow:reserve_held",
    "issuer_prepaid:{issuer}",
    "customer_prepaid:{user}",
    "customer_held:{user}",
    "recharge_transit",
    "refunds_payable",
    "merchant_payable:{sub_mchid}",
    "fee_expense",
    "commission_income",
    "loss",
    "company_drawings",
    "suspense:{channel}",
}
OUTSIDE = [
    "",
    "cash",
    "RECHARGE_TRANSIT",
    "recharge_transit:x",
    "recharge_transit ",
    "escrow",
    "escrow:other",
    "channel_clearing:wechat_pay",
    "channel_clearing:wechat_pay:",
    "channel_clearing::1900000209",
    "channel_clearing:wechat_pay:1900000209:x",
    "issuer_prepaid:",
    "issuer_prepaid",
    "suspense:a:b",
    "merchant_payable:",
    "customer_prepaid:",
    "customer_prepaid:x",
    "customer_held:00000000-0000-0000-0000",
    f"Customer_prepaid:{USER}",
]


def a_code(kind: AccountKind) -> str:
    return (
        kind.pattern.replace("{user}", str(USER))
        .replace("{channel}", "wechat_pay")
        .replace("{sub_mchid}", "1900000209")
        .replace("{issuer}", "demo")
    )


def a_shard(kind: AccountKind) -> int:
    return shard_of(USER) if kind.of_user else HOUSE_SHARD


async def _hold(code: str, balance_fen: int, shard: int) -> None:
    await LedgerAccount.create(
        id=new_id(), code=code, shard=shard, balance_fen=balance_fen, version=1, created_at=utc_now()
    )


def test_the_chart_is_the_designs() -> None:
    assert {kind.pattern for kind in CHART} == IN_DESIGN
    assert len(CHART) == len(IN_DESIGN)


@pytest.mark.parametrize("kind", CHART, ids=lambda kind: kind.pattern)
def test_a_code_is_of_one_kind(kind: AccountKind) -> None:
    assert [other for other in CHART if other.matches(a_code(kind))] == [kind]
    assert kind_of(a_code(kind)) is kind


@pytest.mark.parametrize("code", sorted(OUTSIDE))
def test_an_account_outside_the_chart_is_refused(code: str) -> None:
    with pytest.raises(UnknownAccount):
        kind_of(code)
    with pytest.raises(UnknownAccount):
        Posting("key", USER, None, (Line(code, 1), Line("recharge_transit", -1)))


def test_a_posting_moves_the_money_of_its_user_alone() -> None:
    other = new_id()
    lines = (Line(f"customer_prepaid:{other}", 1), Line("recharge_transit", -1))
    for user_id in (USER, None):
        with pytest.raises(AssertionError, match="somebody else"):
            Posting("key", user_id, None, lines)
    assert Posting("key", other, None, lines).lines == lines


def test_a_users_posting_leaves_the_escrow_alone() -> None:
    lines = (Line("escrow:operating", 1), Line("recharge_transit", -1))
    with pytest.raises(AssertionError, match="escrow"):
        Posting("key", USER, None, lines)
    assert Posting("key", None, None, lines).lines == lines


@pytest.mark.usefixtures("database")
class TestInTheDatabase:
    async def test_every_kind_lies_where_the_chart_says(self) -> None:
        for kind in CHART:
            normal = 1 if kind.normal_side is Side.DEBIT else -1
            if kind.overdraft:
                await _hold(a_code(kind), -normal, a_shard(kind))
                continue
            with pytest.raises(IntegrityError, match="account_no_overdraft"):
                await _hold(a_code(kind), -normal, a_shard(kind))
            await _hold(a_code(kind), normal, a_shard(kind))
            with pytest.raises(IntegrityError, match="account_no_overdraft"):
                await LedgerAccount.filter(code=a_code(kind)).update(balance_fen=-normal)
        assert {account.code for account in await LedgerAccount.all()} == {a_code(kind) for kind in CHART}

    async def test_an_account_outside_the_chart_is_refused(self) -> None:
        for code in OUTSIDE:
            with pytest.raises(IntegrityError, match="account_in_"):
                await _hold(code, 0, HOUSE_SHARD)
        assert await LedgerAccount.all().count() == 0

    async def test_every_kind_lies_in_its_shard(self) -> None:
        for kind in CHART:
            for shard in (-1, LEDGER_SHARDS):
                with pytest.raises(IntegrityError, match="account_in_its_shard"):
                    await _hold(a_code(kind), 0, shard)
            other = (a_shard(kind) + 1) % LEDGER_SHARDS
            if kind.of_user or kind.house_only:
                with pytest.raises(IntegrityError, match="account_in_its_shard"):
                    await _hold(a_code(kind), 0, other)
            else:
                await _hold(a_code(kind), 0, other)
            await _hold(a_code(kind), 0, a_shard(kind))
            with pytest.raises(IntegrityError):
                await _hold(a_code(kind), 0, a_shard(kind))
