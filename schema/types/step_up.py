"""Second proofs as clients see them: what they are for, what they take, and the grant that comes of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Self
from uuid import UUID

import strawberry

from domain.account import spending
from domain.identity.phone_numbers import read_phone
from domain.mandates.operations import Wanted
from domain.risk.rules import Limits
from domain.step_up.operations import Grant, Started
from domain.step_up.rules import Content, StepUpContentInvalid
from schema.types.access_enums import StepUpAction
from schema.types.relay import global_id, key_of
from schema.types.scalars import DateTime, Yuan

STEP_UP_GRANT = "What `confirmStepUp` has given for exactly this; good once."
# What each action is done with; the others are done with nothing that could be told before.
NEEDED = {
    StepUpAction.CREATE_MANDATE: "mandate",
    StepUpAction.UNBIND_CARD: "card_id",
    StepUpAction.RAISE_SPENDING_LIMITS: "spending_limits",
    StepUpAction.CHANGE_PHONE: "phone",
}


@strawberry.input(description="The mandate that will be created, in the words of `createMandate`.")
class StepUpMandateInput:
    transaction_max: Yuan = strawberry.field(description="The most that one order may cost.")
    daily_max: Yuan = strawberry.field(description="The most that the orders of one day may cost together.")
    card_ids: list[strawberry.ID] = strawberry.field(description="The cards that it pays for.")
    expires_at: DateTime | None = strawberry.field(description="When it ends by itself, if said.", default=None)


@strawberry.input(description="The limits that will be set, in the words of `setSpendingLimits`.")
class StepUpLimitsInput:
    per_recharge: Yuan | None = strawberry.field(description="The most of one recharge; none if null.", default=None)
    per_day: Yuan | None = strawberry.field(description="The most of one day; none if null.", default=None)


@strawberry.input(description="An action to prove a second time, with what it will be done with and nothing else.")
class StartStepUpInput:
    action: StepUpAction = strawberry.field(description="What will be done.")
    card_id: strawberry.ID | None = strawberry.field(description="For `UNBIND_CARD`.", default=None)
    mandate: StepUpMandateInput | None = strawberry.field(description="For `CREATE_MANDATE`.", default=None)
    spending_limits: StepUpLimitsInput | None = strawberry.field(
        description="For `RAISE_SPENDING_LIMITS`.", default=None
    )
    phone: str | None = strawberry.field(description="For `CHANGE_PHONE`: the new number.", default=None)

    def content(self, limits: Limits) -> Content:
        """Return what the proof is bound to. Raises StepUpContentInvalid, PhoneInvalid, and what amounts raise."""
        given = {name for name in NEEDED.values() if getattr(self, name) is not None}
        needed = NEEDED.get(self.action)
        if given != ({needed} if needed else set()):
            raise StepUpContentInvalid
        if self.mandate is not None:
            return self._mandate(self.mandate)
        if self.spending_limits is not None:
            wanted = self.spending_limits
            own = spending.read_limits(per_recharge=wanted.per_recharge, per_day=wanted.per_day, limits=limits)
            return Content.of_limits(per_recharge_fen=own.per_recharge_fen, per_day_fen=own.per_day_fen)
        if self.phone is not None:
            return Content.of_phone(read_phone(self.phone).e164)
        if self.card_id is not None:
            return Content.of_card(_known(key_of(self.card_id, "Card")))
        return Content(self.action)

    @staticmethod
    def _mandate(given: StepUpMandateInput) -> Content:
        return Wanted(
            key="",
            transaction_max=Decimal(given.transaction_max),
            daily_max=Decimal(given.daily_max),
            card_ids=[_known(key_of(card_id, "Card")) for card_id in given.card_ids],
            expires_at=given.expires_at,
        ).content


def _known(key: UUID | None) -> UUID:
    """Raises StepUpContentInvalid for an id that names no card."""
    if key is None:
        raise StepUpContentInvalid
    return key


@strawberry.type(description="A code was sent to the viewer's phone, and a face verification was begun.")
class StartStepUpSuccess:
    challenge_id: strawberry.ID = strawberry.field(description="Give this to `confirmStepUp`.")
    masked_phone: str = strawberry.field(description="Where the code was sent, such as `138****1234`.")
    face_token: str = strawberry.field(description="Give this to `confirmStepUp` once the user has passed.")
    face_url: str = strawberry.field(description="Where the user goes through the verification.")
    expires_at: DateTime = strawberry.field(description="Until when it can be confirmed, once.")

    @classmethod
    def of(cls, started: Started) -> Self:
        return cls(
            challenge_id=global_id("StepUp", started.challenge_id),
            masked_phone=started.masked_phone,
            face_token=started.face_token,
            face_url=started.face_url,
            expires_at=DateTime(started.expires_at),
        )


@strawberry.input(description="Both proofs of a step-up.")
class ConfirmStepUpInput:
    challenge_id: strawberry.ID = strawberry.field(description="Of `startStepUp`.")
    code: str = strawberry.field(description="Six digits. After a few wrong ones it is good no more.")
    face_token: str = strawberry.field(description="The token of the verification that the user has passed.")


@strawberry.type(description="The proofs hold. The grant is good once, on this device, for exactly what it was asked.")
class ConfirmStepUpSuccess:
    grant: str = strawberry.field(description="What the mutation takes as `stepUpGrant`.")
    expires_at: DateTime = strawberry.field(description="Until when it is good.")

    @classmethod
    def of(cls, grant: Grant) -> Self:
        return cls(grant=grant.text, expires_at=DateTime(grant.expires_at))


def grant_field() -> Any:
    """Return the input field that a sensitive mutation takes its grant by."""
    return strawberry.field(description=STEP_UP_GRANT, default=None)
