"""Every fault of an issuer through a whole order: what the user sees meanwhile, how it ends, and the books."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from domain.cards.ports import CardIssuer, IssuerBillNotReady, IssuerBillRefused
from kernel.clock import business_day, utc_now
from kernel.states import CaseKind, RechargeState
from models.events import Event
from models.orders import RechargeAttempt
from models.payments import Refund
from models.reviews import ManualCase
from tests.audits import assert_audits_find_nothing
from tests.sandbox.whole import RECHARGING, REFUNDED, SUCCEEDED, View, Whole, open_whole
from tests.sandbox_fixtures import Sandbox

NAMES = {"issuer": "card_issuer", "ofpay": "ofpay", "juhe": "juhe", "fulu": "fulu"}
AGGREGATORS = ("ofpay", "juhe", "fulu")
SIGNED = {"juhe", "fulu"}
APART_MS = 2_000

# Where the one issuer that there is has this fault from the beginning to the end, the order ends so.
_EVERY_ISSUER: dict[str, View] = {
    "accept_then_timeout": SUCCEEDED,
    "silent": SUCCEEDED,
    "refuse": REFUNDED,
    "refuse_at_once": REFUNDED,
}
_AGGREGATOR: dict[str, View] = {
    "error_500_after": SUCCEEDED,
    "low_deposit": REFUNDED,
    "maintenance": REFUNDED,
    "forged": SUCCEEDED,
}
ENDS = [
    *((subject, mode, end) for subject in NAMES for mode, end in _EVERY_ISSUER.items()),
    *((subject, mode, end) for subject in AGGREGATORS for mode, end in _AGGREGATOR.items()),
    ("issuer", "not_accepted", REFUNDED),
    # It fails questions about the deposit and about cards, which no recharge needs.
    ("issuer", "down", SUCCEEDED),
]
# Nothing is known while these hold.
UNKNOWN = [
    *((subject, "error_500") for subject in NAMES),
    *((subject, mode) for subject in AGGREGATORS for mode in ("unknown_code", "down")),
]
STUCK = [(subject, "stuck") for subject in NAMES]
TWO_ENDS = [(subject, mode) for subject in AGGREGATORS for mode in ("success_after_failure", "reversal")]
BILL_FAULTS = ("bill_omits", "bill_adds", "bill_drifts", "bill_cut_off", "bill_altered", "bill_not_ready")
BILLS = [(subject, mode) for subject in NAMES for mode in BILL_FAULTS]
WALKED = {*((subject, mode) for subject, mode, _ in ENDS), *UNKNOWN, *STUCK, *TWO_ENDS}


@asynccontextmanager
async def by(subject: str, sandbox: Sandbox, url: str) -> AsyncIterator[Whole]:
    """Open a house with one issuer."""
    sandbox.faults(issuer_delay_ms=50)
    async with open_whole(sandbox, url, issuers=(NAMES[subject],)) as whole:
        yield whole


async def assert_ended(end: View) -> None:
    """One attempt, one arrival or one refund, and never both."""
    attempt = await RechargeAttempt.get()
    assert attempt.state is not RechargeState.SUBMITTED
    arrived, refunded = await Event.filter(type="recharge.arrived").count(), await Refund.all().count()
    assert (arrived, refunded) == ((1, 0) if end == SUCCEEDED else (0, 1))
    assert not await ManualCase.exists()


@pytest.mark.parametrize(("subject", "mode", "end"), ENDS)
async def test_an_order_ends_as_the_issuer_says(
    sandbox: Sandbox, sqlite_url: str, subject: str, mode: str, end: View
) -> None:
    async with by(subject, sandbox, sqlite_url) as whole:
        sandbox.faults(**{subject: mode})
        await whole.paid()
        await whole.until(end)
        await whole.stays(end, turns=8)
        await assert_ended(end)
        if mode == "silent":
            assert len(whole.listener.deliveries) == 1, "only the payment was told of"


@pytest.mark.parametrize("subject", sorted(SIGNED))
async def test_a_lie_by_another_hand_is_turned_away(sandbox: Sandbox, sqlite_url: str, subject: str) -> None:
    async with by(subject, sandbox, sqlite_url) as whole:
        sandbox.faults(**{subject: "forged"})
        await whole.paid()
        await whole.until(SUCCEEDED)
        await whole.listener.wait_for(2)
        await whole.stays(SUCCEEDED)
        assert sorted(whole.statuses) == [204, 401]


async def test_a_lie_that_is_not_signed_only_has_the_issuer_asked(sandbox: Sandbox, sqlite_url: str) -> None:
    async with by("ofpay", sandbox, sqlite_url) as whole:
        sandbox.faults(ofpay="forged")
        await whole.paid()
        await whole.until(SUCCEEDED)
        await whole.listener.wait_for(2)
        await whole.stays(SUCCEEDED)
        assert not await Refund.exists()
        assert not await ManualCase.exists()


@pytest.mark.parametrize(("subject", "mode"), UNKNOWN)
async def test_what_is_unknown_is_under_way(sandbox: Sandbox, sqlite_url: str, subject: str, mode: str) -> None:
    async with by(subject, sandbox, sqlite_url) as whole:
        sandbox.faults(**{subject: mode})
        await whole.paid()
        await whole.until(RECHARGING)
        await whole.turn(deaf=True)
        await whole.stays(RECHARGING, deaf=True)
        assert not await Refund.exists()
        sandbox.clear_faults()
        await whole.until(SUCCEEDED)
        await assert_ended(SUCCEEDED)


@pytest.mark.parametrize("said", ["SUCCEEDED", "REFUSED"])
@pytest.mark.parametrize(("subject", "mode"), STUCK)
async def test_what_is_stuck_waits_for_the_issuers_word(
    sandbox: Sandbox, sqlite_url: str, subject: str, mode: str, said: str
) -> None:
    async with by(subject, sandbox, sqlite_url) as whole:
        sandbox.faults(**{subject: mode})
        await whole.paid()
        await whole.until(RECHARGING)
        await whole.stays(RECHARGING, turns=6)
        sandbox.settle_recharge((await RechargeAttempt.get()).id, said)
        end = SUCCEEDED if said == "SUCCEEDED" else REFUNDED
        await whole.until(end)
        await assert_ended(end)


@pytest.mark.parametrize(("subject", "mode"), TWO_ENDS)
async def test_a_second_end_goes_to_a_person_and_moves_nothing(
    sandbox: Sandbox, sqlite_url: str, subject: str, mode: str
) -> None:
    """What the user was told first stands until two people have looked at it."""
    async with by(subject, sandbox, sqlite_url) as whole:
        sandbox.faults(issuer_delay_ms=APART_MS, **{subject: mode})
        await whole.paid()
        first, kind = (SUCCEEDED, CaseKind.REVERSAL) if mode == "reversal" else (REFUNDED, CaseKind.CLAW_BACK)
        await whole.until(first)
        # The payment, and the two ends.
        await whole.listener.wait_for(3 if mode == "reversal" else 4)
        await whole.until_true(ManualCase.exists)
        await whole.stays(first)
        assert (await ManualCase.get()).kind is kind
        assert await Event.filter(type="recharge.arrived").count() == (1 if mode == "reversal" else 0)
        assert await Refund.all().count() == (0 if mode == "reversal" else 1)
        await assert_audits_find_nothing()


@pytest.mark.parametrize("subject", sorted({subject for subject, _ in BILLS}))
async def test_a_bill_that_is_wrong_is_refused_or_differs(
    sandbox: Sandbox, sqlite_url: str, tmp_path: Path, subject: str
) -> None:
    """A bill moves no order; what it says is held against the books elsewhere."""
    async with by(subject, sandbox, sqlite_url) as whole:
        await whole.paid()
        await whole.until(SUCCEEDED)
        issuer = whole.parties.issuers.of(NAMES[subject])
        count, cost_fen = await told(issuer, tmp_path / "true")
        for mode in (mode for each, mode in BILLS if each == subject):
            sandbox.faults(**{subject: mode})
            into = tmp_path / mode
            if mode == "bill_not_ready":
                with pytest.raises(IssuerBillNotReady):
                    await told(issuer, into)
            elif mode in {"bill_cut_off", "bill_altered"}:
                with pytest.raises(IssuerBillRefused):
                    await told(issuer, into)
            else:
                false = await told(issuer, into)
                assert false[0] == count + {"bill_omits": -1, "bill_adds": 1, "bill_drifts": 0}[mode]
                assert (false[1] == cost_fen + 1) if mode == "bill_drifts" else (false[1] != cost_fen)
        await whole.stays(SUCCEEDED, turns=1)


async def told(issuer: CardIssuer, into: Path) -> tuple[int, int]:
    """Return how many lines today's bill has and what they cost in fen."""
    await issuer.fetch_bill(business_day(utc_now()), into)
    lines = list(issuer.read_bill(into))
    return len(lines), sum(line.cost_fen for line in lines)


def test_no_end_is_named_twice() -> None:
    assert len(WALKED) == len(ENDS) + len(UNKNOWN) + len(STUCK) + len(TWO_ENDS)
