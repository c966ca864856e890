"""The one place that moves a mandate: under its lock, by the table, with the work that follows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.mandates.rules import Trigger, next_state
from domain.work.operations import Kind, schedule
from kernel.states import MandateState
from models.mandates import Mandate

# Whoever stands before the signing page when it closes may still sign for a moment.
SIGNING_MARGIN = timedelta(minutes=1)


async def lock(mandate_id: UUID) -> Mandate:
    """Read the mandate and hold its row until the transaction ends."""
    return await Mandate.select_for_update().get(id=mandate_id)


async def advance(mandate: Mandate, trigger: Trigger, *, now: datetime, **changes: Any) -> bool:
    """Move a locked mandate by one row of the table, and return whether there was one."""
    state = next_state(mandate.state, trigger)
    if state is None:
        return False
    if state is not MandateState.ACTIVE:
        changes["ended_at"] = now
    await change(mandate, state=state, **changes)
    return True


async def change(mandate: Mandate, **changes: Any) -> None:
    changed = await Mandate.filter(id=mandate.id, version=mandate.version).update(
        **changes, version=mandate.version + 1
    )
    if changed != 1:
        raise RuntimeError(f"mandate {mandate.id} moved under its lock")
    mandate.update_from_dict({**changes, "version": mandate.version + 1})


async def end_contract(mandate: Mandate, *, now: datetime) -> None:
    """Have the contract ended at the channel, in the transaction that ends the mandate.

    One that nobody has signed yet may still be signed for a while, so it is ended when nobody can any more.
    """
    signed = mandate.contract_id is not None
    await schedule(
        kind=Kind.END_CONTRACT,
        key=f"{mandate.id}:{'signed' if signed else 'unsigned'}",
        payload={"mandate_id": str(mandate.id)},
        due_at=now if signed else max(now, mandate.signing_until + SIGNING_MARGIN),
        now=now,
    )
