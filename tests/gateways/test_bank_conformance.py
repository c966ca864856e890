"""What every bank promises the funds: the one behind the gateway, and the one that other tests write themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from domain.orders.ports import ThirdParties
from domain.payments.banks import Bank, BankTransfer, BankTransferState, BankUnavailable
from kernel.ids import new_id, short_text
from tests.funds.support import FakeBank
from tests.sandbox_fixtures import Sandbox

State = BankTransferState


def an_order(**changes: Any) -> BankTransfer:
    order = BankTransfer(
        reference=f"F{short_text(new_id())}",
        source="operating",
        target="payee",
        payee_name="中国石化销售有限公司",
        payee_bank_code="102100099996",
        payee_account="6222021234567890123",
        amount_fen=123_45,
    )
    return replace(order, **changes)


@dataclass
class Subject:
    bank: Bank
    arrive: Callable[[str, int], Any]
    pend: Callable[[], Any]
    refuse: Callable[[], Any]


@pytest.fixture(params=["gateway", "in memory"])
async def subject(request: pytest.FixtureRequest, parties: ThirdParties, sandbox: Sandbox) -> Subject:
    if request.param == "gateway":
        assert parties.platforms.bank is not None
        return Subject(
            parties.platforms.bank,
            lambda reference, fen: sandbox.control("bank-arrival", reference=reference, amount_fen=fen),
            lambda: sandbox.faults(bank="pending"),
            lambda: sandbox.faults(bank="refuse"),
        )
    bank = FakeBank()
    return Subject(
        bank,
        bank.arrivals.__setitem__,
        lambda: setattr(bank, "pending", True),
        lambda: setattr(bank, "refuses", True),
    )


class TestEveryBank:
    async def test_a_reference_is_carried_out_once(self, subject: Subject) -> None:
        order = an_order()
        first = await subject.bank.send(order)
        assert (first.state, first.amount_fen, first.reference) == (State.DONE, 123_45, order.reference)
        assert await subject.bank.send(order) == first
        assert await subject.bank.query(order.reference) == first

    async def test_between_our_own_accounts(self, subject: Subject) -> None:
        own = {"payee_name": "", "payee_bank_code": "", "payee_account": ""}
        found = await subject.bank.send(an_order(source="reserve", target="operating", **own))
        assert found.state is State.DONE

    async def test_what_it_has_never_seen(self, subject: Subject) -> None:
        found = await subject.bank.query("F0000000000000000000000000A")
        assert (found.state, found.amount_fen) == (State.NOT_FOUND, 0)

    async def test_pending_is_neither(self, subject: Subject) -> None:
        subject.pend()
        order = an_order()
        assert (await subject.bank.send(order)).state is State.PENDING
        assert (await subject.bank.query(order.reference)).state is State.PENDING

    async def test_a_refusal_is_for_good(self, subject: Subject) -> None:
        subject.refuse()
        order = an_order()
        found = await subject.bank.send(order)
        assert found.state is State.REFUSED
        assert found.reason
        assert (await subject.bank.query(order.reference)).state is State.REFUSED

    async def test_what_arrives_is_found_by_its_reference(self, subject: Subject) -> None:
        reference = f"wechat_pay:1900000209:{short_text(new_id())}"
        assert await subject.bank.arrival(reference) is None
        subject.arrive(reference, 497_00)
        found = await subject.bank.arrival(reference)
        assert found is not None
        assert (found.reference, found.amount_fen) == (reference, 497_00)


class TestTheGateway:
    @pytest.mark.parametrize("fault", ["timeout", "error_500_after"])
    async def test_an_answer_that_is_lost_is_asked_for(
        self, parties: ThirdParties, hasty_parties: ThirdParties, sandbox: Sandbox, fault: str
    ) -> None:
        bank, hasty, order = parties.platforms.bank, hasty_parties.platforms.bank, an_order()
        assert bank is not None
        assert hasty is not None
        sandbox.faults(bank=fault)
        with pytest.raises(BankUnavailable):
            await hasty.send(order)
        sandbox.clear_faults()
        assert (await bank.query(order.reference)).state is State.DONE

    async def test_what_failed_before_is_not_known(self, parties: ThirdParties, sandbox: Sandbox) -> None:
        bank, order = parties.platforms.bank, an_order()
        assert bank is not None
        sandbox.faults(bank="error_500")
        with pytest.raises(BankUnavailable):
            await bank.send(order)
        sandbox.clear_faults()
        assert (await bank.query(order.reference)).state is State.NOT_FOUND

    @pytest.mark.parametrize("fault", ["down", "forged", "old_answer"])
    async def test_no_answer_of_the_bank_settles_nothing(
        self, parties: ThirdParties, sandbox: Sandbox, fault: str
    ) -> None:
        bank, order = parties.platforms.bank, an_order()
        assert bank is not None
        await bank.send(order)
        sandbox.control("bank-arrival", reference=order.reference, amount_fen=1)
        sandbox.faults(bank=fault)
        with pytest.raises(BankUnavailable):
            await bank.query(order.reference)
        with pytest.raises(BankUnavailable):
            await bank.arrival(order.reference)

    async def test_another_content_under_a_reference_is_no_refusal(self, parties: ThirdParties) -> None:
        """Somebody has to look: what the reference stands for has been carried out."""
        bank, order = parties.platforms.bank, an_order()
        assert bank is not None
        await bank.send(order)
        with pytest.raises(BankUnavailable, match="REFERENCE_USED"):
            await bank.send(replace(order, amount_fen=1))
        assert (await bank.query(order.reference)).amount_fen == 123_45

    async def test_a_number_is_in_no_picture_of_an_order(self) -> None:
        assert an_order().payee_account not in repr(an_order())
