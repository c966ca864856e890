"""What the channel says of contracts: callbacks and queries go through the same step."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from domain.mandates.rules import LIVE, Trigger
from domain.mandates.transitions import advance, change, end_contract, lock
from domain.payments.contracts import ContractFacts, Contracts, ContractState
from domain.payments.ports import UnknownChannel
from kernel.states import MandateState
from models.database import transactional
from models.identity import User
from models.mandates import Mandate

# A contract that the user ends at the channel is noticed so late at most, should its callback be lost.
LOOK_AGAIN_AFTER = timedelta(days=1)
REASON = "用户解约"


class UnknownContract(Exception):
    """A signed callback names a contract that nothing here has begun."""


class ContractMismatch(Exception):
    """The facts are signed but not ours: another user, or another contract. A person must look at it."""


@transactional
async def settle(*, facts: ContractFacts, now: datetime) -> Mandate:
    """Apply what a verified callback or a query says of a contract; a copy of it changes nothing.

    A signature makes what is PENDING ACTIVE. One that comes for a mandate that is over is undone at the channel. Raises
    UnknownContract or ContractMismatch.
    """
    found = await Mandate.get_or_none(out_contract_code=facts.out_contract_code)
    if found is None:
        raise UnknownContract(f"nothing here has begun the contract: {facts.state}")
    mandate = await lock(found.id)
    if facts.state is ContractState.NOT_FOUND:
        return mandate
    await _check(mandate, facts)
    if facts.state is ContractState.TERMINATED:
        await advance(mandate, Trigger.END, now=now, contract_id=facts.contract_id)
    elif mandate.state is MandateState.PENDING:
        await advance(mandate, Trigger.SIGN, now=now, contract_id=facts.contract_id, signed_at=now)
    elif mandate.contract_id is None:
        await change(mandate, contract_id=facts.contract_id)
        await end_contract(mandate, now=now)
    return mandate


async def _check(mandate: Mandate, facts: ContractFacts) -> None:
    if facts.contract_id is None or (mandate.contract_id or facts.contract_id) != facts.contract_id:
        raise ContractMismatch("contract_id")
    if facts.openid is not None and facts.openid != (await User.get(id=mandate.user_id)).openid:
        raise ContractMismatch("openid")


async def watch(*, mandate_id: UUID, contracts: Contracts | None, soon: datetime, now: datetime) -> datetime | None:
    """Ask how a mandate's contract stands, end what is over by its time, and return when to look again.

    That is `soon` while somebody may be signing, and None once nothing can change any more. Raises ChannelUnavailable,
    ChannelRefused or UnknownChannel.
    """
    mandate = await Mandate.get(id=mandate_id)
    if mandate.state in LIVE and now < mandate.expires_at:
        facts = await require(contracts, mandate).query(mandate.out_contract_code)
        mandate = await settle(facts=facts, now=now)
    if mandate.state in LIVE:
        mandate = await _lapse(mandate.id, now)
    if mandate.state is MandateState.PENDING:
        return soon
    if mandate.state is not MandateState.ACTIVE:
        return None
    again_at: datetime = min(mandate.expires_at, now + LOOK_AGAIN_AFTER)
    return again_at


@transactional
async def _lapse(mandate_id: UUID, now: datetime) -> Mandate:
    mandate = await lock(mandate_id)
    expired = now >= mandate.expires_at
    unsigned = mandate.state is MandateState.PENDING and now >= mandate.signing_until
    if unsigned or expired:
        trigger = Trigger.LAPSE if mandate.state is MandateState.PENDING else Trigger.END
        if await advance(mandate, trigger, now=now):
            await end_contract(mandate, now=now)
    return mandate


async def end(*, mandate_id: UUID, contracts: Contracts | None) -> None:
    """End the contract of a mandate that is over. Raises ChannelUnavailable, ChannelRefused or UnknownChannel."""
    mandate = await Mandate.get(id=mandate_id)
    assert mandate.state not in LIVE, mandate.state
    await require(contracts, mandate).terminate(mandate.out_contract_code, reason=REASON)


def require(contracts: Contracts | None, mandate: Mandate) -> Contracts:
    """Return the contracts by which the mandate was made. Raises UnknownChannel."""
    if contracts is None or (contracts.name, contracts.sub_mchid) != (mandate.channel, mandate.sub_mchid):
        raise UnknownChannel(f"contracts of {mandate.channel}:{mandate.sub_mchid}")
    return contracts
