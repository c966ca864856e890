"""Bills of card issuers over HTTP, as the sandbox writes them: face values, costs, and recharges beside an order."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from domain.cards.ports import IssuerBillLine, IssuerOrderState, RechargeFacts
from domain.orders.disputes import recharged_beside
from domain.reconciliation import audit
from domain.reconciliation.books import IssuerBooks
from domain.reconciliation.operations import reconcile
from domain.reconciliation.queries import suspense_ageing
from domain.reconciliation.rules import compare
from domain.reconciliation.sources import IssuerSource, of_issuer
from jobs import reconcile as commands
from kernel.clock import business_day, utc_now
from kernel.ids import new_id
from kernel.states import DifferenceClass, DifferenceState, OrderState, RechargeState
from models.database import transactional
from models.orders import RechargeAttempt, RechargeOrder
from models.reconciliation import ReconciliationDifference, ReconciliationRun
from tests.orders.conftest import House, open_house
from tests.reconciliation.support import LIMITS
from tests.sandbox_fixtures import Sandbox

ISSUER = "ofpay"
SOURCE = f"issuer:{ISSUER}"


@pytest.fixture
async def house(database: str, sandbox: Sandbox) -> AsyncIterator[House]:
    sandbox.faults(issuer_delay_ms=0)
    async with open_house(sandbox, issuers=(ISSUER,)) as house:
        yield house


async def recharged(house: House) -> RechargeAttempt:
    order = await house.paid_order()
    await house.work_until_state(order.id, OrderState.SUCCEEDED)
    return await RechargeAttempt.get(order_id=order.id)


@dataclass
class Today:
    """Runs of one house over the issuer's bill of today."""

    house: House
    folder: Path

    async def compare(self) -> ReconciliationRun:
        source = IssuerSource(self.house.third_parties.issuers.of(ISSUER))
        assert source.name == SOURCE
        day = business_day(utc_now())
        done = await reconcile(source=source, day=day, folder=self.folder, limits=LIMITS, owner="test", clock=utc_now)
        assert await audit.findings() == []
        return done

    async def about(self, *attempts: RechargeAttempt) -> dict[str, tuple[DifferenceClass, int]]:
        """Return what is unresolved about these; the sandbox has recharges of other tests, which nobody here knows."""
        await self.compare()
        rows = await ReconciliationDifference.filter(key__in=[str(each.id) for each in attempts])
        live = [row for row in rows if row.state in (DifferenceState.OPEN, DifferenceState.WAITING)]
        return {row.key: (row.difference_class, row.amount_fen) for row in live}


async def test_what_the_bill_says_otherwise_is_named_and_goes_again(house: House, folder: Path) -> None:
    first, second = await recharged(house), await recharged(house)
    today = Today(house, folder)
    assert await today.about(first, second) == {}
    cost_fen = first.cost_fen or 0
    await RechargeAttempt.filter(id=first.id).update(cost_fen=cost_fen - 1)
    await RechargeOrder.filter(id=second.order_id).update(amount_fen=1)
    assert await today.about(first, second) == {
        str(first.id): (DifferenceClass.AMOUNT_DIFF, -1),
        # Our deposit has paid what it should, and the card was charged with something else.
        str(second.id): (DifferenceClass.AMOUNT_DIFF, 0),
    }
    await RechargeOrder.filter(id=second.order_id).update(amount_fen=50_000)
    await RechargeAttempt.filter(id=first.id).update(state=RechargeState.REFUSED)
    await RechargeAttempt.filter(id=second.id).update(issuer="juhe")
    assert await today.about(first, second) == {
        str(first.id): (DifferenceClass.STATUS_DIFF, -cost_fen),
        str(second.id): (DifferenceClass.LONG, -cost_fen),
    }
    await RechargeAttempt.filter(id=first.id).update(state=RechargeState.SUCCEEDED, cost_fen=cost_fen)
    await RechargeAttempt.filter(id=second.id).update(issuer=ISSUER)
    assert await today.about(first, second) == {}


async def test_a_recharge_beside_its_order_is_booked_already(house: House, folder: Path) -> None:
    """Suspense has it as a claw-back; what the bill says of it is no second one."""
    attempt = await recharged(house)
    line = IssuerBillLine(
        attempt.id, str(attempt.issuer_order_id), IssuerOrderState.SUCCEEDED, 50_000, attempt.cost_fen or 0
    )
    await RechargeAttempt.filter(id=attempt.id).update(state=RechargeState.SURPLUS)
    name = ("RECHARGE", str(attempt.id))
    ours = (await IssuerBooks(ISSUER).by_names([name]))[name]
    theirs = of_issuer(line)
    assert (ours.standing, ours.amount_fen, ours.moved_fen) == (theirs.standing, theirs.amount_fen, theirs.moved_fen)
    assert await Today(house, folder).about(attempt) == {}


async def test_what_was_recharged_beside_an_order_ages_with_the_issuer_that_did_it(house: House) -> None:
    mine = await recharged(house)
    beside = await RechargeAttempt.create(
        id=new_id(), order_id=mine.order_id, user_id=mine.user_id, number=2, issuer="juhe", issuer_order_id="J1",
        state=RechargeState.SURPLUS, cost_fen=49_000, submitted_at=utc_now(), settled_at=utc_now(),
    )  # fmt: skip
    facts = RechargeFacts(beside.id, IssuerOrderState.SUCCEEDED, "J1", 50_000, 49_000, "")

    async def note() -> None:
        order = await RechargeOrder.get(id=mine.order_id)
        await recharged_beside(order, beside, facts, cost_fen=49_000, actor="test", now=utc_now())

    await transactional(note)()
    (ageing,) = await suspense_ageing(now=utc_now())
    assert (ageing.account, ageing.balance.fen, ageing.counts) == ("suspense:juhe", 49_000, [1, 0, 0, 0])
    assert ageing.unexplained.fen == 0
    line = of_issuer(IssuerBillLine(beside.id, "J1", IssuerOrderState.SUCCEEDED, 50_000, 49_000))
    ours = (await IssuerBooks("juhe").by_names([line.name]))[line.name]
    assert compare(ours, [line]) == []


class TestCommand:
    @pytest.fixture(autouse=True)
    def settings(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = sandbox.settings(issuers=(ISSUER,), third_party_timeout_s=30.0)
        monkeypatch.setattr(commands, "get_settings", lambda: settings)

    @pytest.mark.parametrize(("fault", "code"), [("bill_adds", 1), ("bill_cut_off", 2), ("bill_not_ready", 2)])
    async def test_a_bill_that_is_wrong(
        self, database: str, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], fault: str, code: int
    ) -> None:
        given = Namespace(source=SOURCE, day=business_day(utc_now()) - timedelta(days=1), bill=None, json=False)
        assert await commands.compare(given) == 0
        assert "MATCH" in capsys.readouterr().out
        sandbox.faults(ofpay=fault)
        assert await commands.compare(given) == code
        said = capsys.readouterr()
        assert ("unresolved:" in said.out and "LONG" in said.out) == (code == 1)
        assert bool(said.err) == (code == 2)
        given.json = True
        assert await commands.compare(given) == code
        out = capsys.readouterr().out
        rows = json.loads(out)["unresolved"] if code == 1 else []
        assert [(row["class"], row["kind"], row["book_fen"], row["bill_fen"], row["amount_fen"]) for row in rows] == [
            ("LONG", "RECHARGE", None, 10_000, -10_000)
        ] * (code == 1)
        # The strange line of each bill is another one, and the first went with its bill.
        assert await ReconciliationDifference.filter(state=DifferenceState.OPEN).count() == (code == 1)

    async def test_an_issuer_that_there_is_not(self, database: str, capsys: pytest.CaptureFixture[str]) -> None:
        given = Namespace(source="issuer:somebody", day=business_day(utc_now()), bill=None, json=False)
        assert await commands.compare(given) == 2
        assert SOURCE in capsys.readouterr().err
        assert await ReconciliationRun.all().count() == 0
