"""What a mandate allows, and the states that it goes through. Amounts are fen; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from kernel.errors import YoukaError
from kernel.money import Money
from kernel.states import MandateState


class MandateCapInvalid(YoukaError):
    code = "MANDATE_CAP_INVALID"
    messages = {
        "zh-CN": "限额须大于零且不超过{maximum.text}，单笔限额不能超过单日限额",
        "en": "A cap must be more than zero and {maximum.text} at most, and that per order not above that per day",
    }


class MandateTimeInvalid(YoukaError):
    code = "MANDATE_TIME_INVALID"
    messages = {
        "zh-CN": "有效期须在未来{days}天之内",
        "en": "The mandate must end within the next {days} days",
    }


class MandateNotActive(YoukaError):
    """Also where there is none, or it is over."""

    code = "MANDATE_NOT_ACTIVE"
    messages = {"zh-CN": "没有生效的免密支付授权", "en": "There is no mandate in force"}


class MandateCardNotAllowed(YoukaError):
    code = "MANDATE_CARD_NOT_ALLOWED"
    messages = {"zh-CN": "该油卡不在免密支付授权范围内", "en": "The mandate does not cover this card"}


class MandateCapExceeded(YoukaError):
    """`maximum` is what one order may still cost now: the cap per order, or what is left of the day."""

    code = "MANDATE_CAP_EXCEEDED"
    messages = {
        "zh-CN": "超出免密支付限额，目前最多可付{maximum.text}",
        "en": "Over the cap of the mandate, which covers {maximum.text} now",
    }


class Trigger(StrEnum):
    SIGN = "SIGN"
    REVOKE = "REVOKE"
    END = "END"
    LAPSE = "LAPSE"


# What is not listed is refused: what is over stays over, whatever the channel says later.
STEPS = {
    (MandateState.PENDING, Trigger.SIGN): MandateState.ACTIVE,
    (MandateState.PENDING, Trigger.REVOKE): MandateState.REVOKED,
    (MandateState.PENDING, Trigger.LAPSE): MandateState.REFUSED,
    (MandateState.PENDING, Trigger.END): MandateState.ENDED,
    (MandateState.ACTIVE, Trigger.REVOKE): MandateState.REVOKED,
    (MandateState.ACTIVE, Trigger.END): MandateState.ENDED,
}
LIVE = (MandateState.PENDING, MandateState.ACTIVE)


def next_state(state: MandateState, trigger: Trigger) -> MandateState | None:
    """Return where the step leads, or None where there is no such step."""
    return STEPS.get((state, trigger))


@dataclass(frozen=True, slots=True)
class Caps:
    transaction_fen: int
    daily_fen: int


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything of a mandate that decides what it pays for."""

    state: MandateState
    caps: Caps
    cards: frozenset[UUID]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Used:
    """What a mandate has paid on the business day, with what is under way."""

    fen: int
    count: int


def check_caps(caps: Caps, at_most: Caps) -> None:
    """Raises MandateCapInvalid with the most that the first wrong one may be."""
    if not 0 < caps.daily_fen <= at_most.daily_fen:
        raise MandateCapInvalid(maximum=Money(at_most.daily_fen))
    transaction_max_fen = min(at_most.transaction_fen, caps.daily_fen)
    if not 0 < caps.transaction_fen <= transaction_max_fen:
        raise MandateCapInvalid(maximum=Money(transaction_max_fen))


def in_force(state: MandateState, expires_at: datetime, now: datetime) -> bool:
    return state is MandateState.ACTIVE and now < expires_at


def check_deduction(terms: Terms, *, card_id: UUID, amount: Money, used: Used, now: datetime) -> None:
    """Raises MandateNotActive, MandateCardNotAllowed, or MandateCapExceeded with what is covered now."""
    if not in_force(terms.state, terms.expires_at, now):
        raise MandateNotActive
    if card_id not in terms.cards:
        raise MandateCardNotAllowed
    covered_fen = min(terms.caps.transaction_fen, max(0, terms.caps.daily_fen - used.fen))
    if amount.fen > covered_fen:
        raise MandateCapExceeded(maximum=Money(covered_fen))
