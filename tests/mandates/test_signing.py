"""Mandates begun, signed, lowered, revoked and ended, with WeChat Pay's stand-in over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.identity.idempotency import IdempotencyConflict
from domain.mandates import operations, settling
from domain.mandates.operations import MandateCardsInvalid, MandateExists, MandateScopeMissing, MandatesNotOffered
from domain.mandates.queries import MandateNotFound
from domain.mandates.rules import MandateCapInvalid, MandateNotActive, MandateTimeInvalid
from domain.payments.contracts import ContractFacts, ContractState
from kernel.clock import utc_now
from kernel.money import Money
from kernel.states import MandateState
from models.jobs import Job
from models.mandates import Mandate, MandateCard
from tests.factories import SEALER, create_card, create_viewer
from tests.mandates.support import POLICY, begin, create_signed, revoke, sign, wanted, work
from tests.orders.conftest import House


def contract(house: House, mandate: Mandate) -> Any:
    code = mandate.out_contract_code
    return next(each for each in house.sandbox.state()["contracts"] if each["out_contract_code"] == code)


async def test_it_is_in_force_once_the_user_has_signed(house: House) -> None:
    begun = await begin(house, key="mandate-key-1")
    assert begun.signing is not None
    assert begun.signing.extra_data["pre_entrustweb_id"]
    assert begun.mandate.state is MandateState.PENDING
    await work(house, "watch_mandate")
    assert (await Mandate.get(id=begun.mandate.id)).state is MandateState.PENDING
    signed = await sign(house, begun.mandate)
    assert signed.state is MandateState.ACTIVE
    assert signed.contract_id == contract(house, signed)["contract_id"]
    again = await begin(house, key="mandate-key-1")
    assert (again.mandate.id, again.signing) == (signed.id, None)
    with pytest.raises(IdempotencyConflict):
        await begin(house, key="mandate-key-1", daily_max=Decimal("999.00"))
    assert await Mandate.all().count() == 1


async def test_a_key_makes_one_mandate_even_at_once(house: House) -> None:
    begun = await asyncio.gather(*(begin(house, key="mandate-key-1") for _ in range(5)))
    assert len({each.mandate.id for each in begun}) == 1
    assert await MandateCard.all().count() == 1


async def test_callback_and_query_are_two_witnesses_of_one_step(house: House) -> None:
    mandate = await create_signed(house)
    facts = ContractFacts(mandate.out_contract_code, ContractState.SIGNED, mandate.contract_id, None, utc_now())
    await asyncio.gather(*(settling.settle(facts=facts, now=utc_now()) for _ in range(5)))
    assert (await Mandate.get(id=mandate.id)).version == mandate.version
    for wrong in (replace(facts, contract_id="another"), replace(facts, openid="somebody-else")):
        with pytest.raises(settling.ContractMismatch):
            await settling.settle(facts=wrong, now=utc_now())
    with pytest.raises(settling.UnknownContract):
        await settling.settle(facts=replace(facts, out_contract_code="M0"), now=utc_now())
    assert (await Mandate.get(id=mandate.id)).version == mandate.version


async def test_revoking_holds_at_once_and_ends_the_contract(house: House) -> None:
    mandate = await create_signed(house)
    revoked = await revoke(house, mandate)
    assert (revoked.mandate.state, revoked.under_way) == (MandateState.REVOKED, [])
    assert contract(house, mandate)["state"] == "SIGNED"
    house.sandbox.faults(contract="error_500")
    await work(house, "end_contract")
    assert await Job.filter(kind="end_contract", done_at__isnull=True, parked_at__isnull=True).count() == 1
    house.sandbox.clear_faults()
    await work(house, "end_contract")
    assert contract(house, mandate)["state"] == "TERMINATED"
    assert (await revoke(house, mandate)).mandate.version == revoked.mandate.version
    with pytest.raises(MandateNotFound):
        await operations.revoke(viewer=await create_viewer(), mandate_id=mandate.id, now=utc_now())


async def test_a_signature_that_comes_too_late_is_undone(house: House) -> None:
    begun = await begin(house)
    await revoke(house, begun.mandate)
    house.sandbox.control("contract", out_contract_code=begun.mandate.out_contract_code, wish="sign")
    signed = contract(house, begun.mandate)
    facts = ContractFacts(signed["out_contract_code"], ContractState.SIGNED, signed["contract_id"], None, utc_now())
    assert (await settling.settle(facts=facts, now=utc_now())).state is MandateState.REVOKED
    await work(house, "end_contract")
    assert contract(house, begun.mandate)["state"] == "TERMINATED"


async def test_a_newer_one_takes_the_place_of_what_nobody_signed(house: House) -> None:
    first = (await begin(house)).mandate
    second = await create_signed(house)
    assert (await Mandate.get(id=first.id)).state is MandateState.REFUSED
    with pytest.raises(MandateExists):
        await begin(house)
    assert await Mandate.all().count() == 2
    await revoke(house, second)
    assert (await create_signed(house)).id != second.id


async def test_what_the_user_ends_at_the_channel_is_ended_here(house: House) -> None:
    mandate = await create_signed(house)
    house.sandbox.control("contract", out_contract_code=mandate.out_contract_code, wish="terminate")
    await work(house, "watch_mandate")
    assert (await Mandate.get(id=mandate.id)).state is MandateState.ENDED


async def test_time_ends_what_is_signed_and_what_is_not(house: House) -> None:
    mandate = await create_signed(house, expires_at=utc_now() + timedelta(days=2))
    contracts, soon = house.third_parties.contracts, utc_now()
    over = mandate.expires_at
    assert await settling.watch(mandate_id=mandate.id, contracts=contracts, soon=soon, now=over) is None
    assert (await Mandate.get(id=mandate.id)).state is MandateState.ENDED
    await work(house, "end_contract")
    assert contract(house, mandate)["state"] == "TERMINATED"
    unsigned = (await begin(house)).mandate
    over = unsigned.signing_until
    assert await settling.watch(mandate_id=unsigned.id, contracts=contracts, soon=soon, now=over) is None
    assert (await Mandate.get(id=unsigned.id)).state is MandateState.REFUSED


async def test_caps_are_lowered_at_once_and_never_raised(house: House) -> None:
    mandate = await create_signed(house)

    async def lower(each: str, daily: str) -> Mandate:
        return await operations.lower_caps(
            viewer=house.viewer,
            mandate_id=mandate.id,
            transaction_max=Decimal(each),
            daily_max=Decimal(daily),
            now=utc_now(),
        )

    lowered = await lower("200.00", "300.00")
    assert (lowered.transaction_max_fen, lowered.daily_max_fen) == (20_000, 30_000)
    for each, daily in (("200.01", "300.00"), ("200.00", "300.01")):
        with pytest.raises(MandateCapInvalid):
            await lower(each, daily)
    found = await Mandate.get(id=mandate.id)
    assert (found.transaction_max_fen, found.daily_max_fen, found.version) == (20_000, 30_000, lowered.version)
    await revoke(house, mandate)
    with pytest.raises(MandateNotActive):
        await lower("1.00", "1.00")


async def test_what_is_wrong_begins_nothing(house: House) -> None:
    somebody = await create_viewer()
    theirs = await create_card(somebody)
    now = utc_now()
    wrong: list[tuple[type[Exception], dict[str, Any]]] = [
        (MandateCapInvalid, {"transaction_max": Decimal("1000.01"), "daily_max": Decimal("2000.00")}),
        (MandateCapInvalid, {"transaction_max": Decimal("500.01"), "daily_max": Decimal("500.00")}),
        (MandateCardsInvalid, {"card_ids": []}),
        (MandateCardsInvalid, {"card_ids": [None]}),
        (MandateCardsInvalid, {"card_ids": [house.card.id, theirs.id]}),
        (MandateTimeInvalid, {"expires_at": now - timedelta(seconds=1)}),
        (MandateTimeInvalid, {"expires_at": now + timedelta(days=366)}),
    ]
    before = len(house.sandbox.state()["contracts"])
    for kind, changes in wrong:
        with pytest.raises(kind):
            await begin(house, **changes)
    by_car = replace(house, viewer=replace(house.viewer, scopes=frozenset({"recharge:voice"})))
    with pytest.raises(MandateScopeMissing):
        await begin(by_car)
    with pytest.raises(MandatesNotOffered):
        await operations.create(
            viewer=house.viewer, wanted=wanted(house), contracts=None, sealer=SEALER, policy=POLICY, now=utc_now()
        )
    assert await Mandate.all().count() == 0
    assert len(house.sandbox.state()["contracts"]) == before


def test_the_most_that_a_cap_may_be_is_below_what_takes_a_face() -> None:
    assert Money(POLICY.transaction_max_fen) <= Money(200_000)
