"""What a second proof is bound to: the action, what it is done to, and the values that it is done with. No I/O."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from kernel.access_states import StepUpAction
from kernel.errors import YoukaError

SEPARATOR = "\x1f"


class StepUpContentInvalid(YoukaError):
    code = "STEP_UP_CONTENT_INVALID"
    messages = {
        "zh-CN": "请提供且仅提供该操作的内容",
        "en": "Say what the action is to be done with, and nothing of another action",
    }


@dataclass(frozen=True, slots=True)
class Content:
    """One action in full. Whatever could be swapped behind the user's back stands in `parts`.

    A new payment password does not, since no digest of six digits keeps them.
    """

    action: StepUpAction
    parts: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return SEPARATOR.join((self.action.value, *self.parts))

    @classmethod
    def of_mandate(
        cls, *, transaction_fen: int, daily_fen: int, card_ids: Collection[UUID], expires_at: datetime | None
    ) -> Self:
        """An `expires_at` of None is the longest time that there is."""
        until = expires_at.isoformat() if expires_at else ""
        cards = sorted({str(card_id) for card_id in card_ids})
        return cls(StepUpAction.CREATE_MANDATE, (str(transaction_fen), str(daily_fen), until, *cards))

    @classmethod
    def of_card(cls, card_id: UUID) -> Self:
        return cls(StepUpAction.UNBIND_CARD, (str(card_id),))

    @classmethod
    def of_limits(cls, *, per_recharge_fen: int | None, per_day_fen: int | None) -> Self:
        return cls(StepUpAction.RAISE_SPENDING_LIMITS, (str(per_recharge_fen), str(per_day_fen)))

    @classmethod
    def of_phone(cls, e164: str) -> Self:
        return cls(StepUpAction.CHANGE_PHONE, (e164,))
