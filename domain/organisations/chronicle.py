"""Every change of an organisation: its line in the log, and its event, in the transaction that makes it true."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from domain.events.operations import append
from domain.events.streams import ORGANISATIONS, EventType
from domain.organisations.membership import Membership
from domain.organisations.rules import MemberLimits
from kernel.ids import new_id
from kernel.money import Money
from kernel.organisation_states import OrganisationAction
from models.organisations import OrganisationLogEntry


async def note(
    action: OrganisationAction,
    *,
    by: Membership,
    now: datetime,
    about: UUID | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write down what a member has done. `before` and `after` hold names and values, and never a number or a code."""
    actor = f"user:{by.member.user_id}"
    await write(by.organisation.id, action, actor, now, by.member.id, about, before, after)


async def write(
    organisation_id: UUID,
    action: OrganisationAction,
    actor: str,
    now: datetime,
    actor_member_id: UUID | None = None,
    about: UUID | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    await OrganisationLogEntry.create(
        id=new_id(),
        organisation_id=organisation_id,
        action=action,
        actor=actor,
        actor_member_id=actor_member_id,
        member_id=about,
        before=_texts(before),
        after=_texts(after),
        occurred_at=now,
    )
    await append(
        stream=ORGANISATIONS,
        type=EventType.ORGANISATION_CHANGED,
        payload={"organisation_id": str(organisation_id)},
        now=now,
    )


def values_of(limits: MemberLimits) -> dict[str, str]:
    """Return limits as the log shows them."""
    named = {"perRecharge": limits.recharge_fen, "perDay": limits.daily_fen, "perMonth": limits.monthly_fen}
    return {name: Money(fen).yuan for name, fen in named.items() if fen is not None}


def _texts(values: dict[str, Any] | None) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in (values or {}).items()
    }
