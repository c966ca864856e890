"""What the cards room asks of a card issuer. Amounts are fen, times are aware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from kernel.states import CardBrand


class IssuerUnavailable(Exception):
    """No answer, or one that settles nothing. The recharge may have happened: unknown means pending."""


class IssuerNoticeRefused(Exception):
    """A callback that is forged, altered, stale or unreadable; nothing of it may be used."""


class IssuerOrderState(StrEnum):
    """REVERSED is a recharge that had succeeded and that the issuer took back."""

    NOT_FOUND = "NOT_FOUND"
    PROCESSING = "PROCESSING"
    SUCCEEDED = "SUCCEEDED"
    REFUSED = "REFUSED"
    REVERSED = "REVERSED"


@dataclass(frozen=True, slots=True)
class RechargeRequest:
    """`attempt_id` is the issuer's idempotency key: the same id is recharged once, however often it is sent."""

    attempt_id: UUID
    brand: CardBrand
    card_number: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class RechargeFacts:
    """What an answer or a verified callback says.

    `cost_fen` is what the issuer took from our deposit, and of a reversed recharge what it put back.
    """

    attempt_id: UUID
    state: IssuerOrderState
    issuer_order_id: str | None
    amount_fen: int
    cost_fen: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class IssuerNotice:
    notice_id: str
    recharge: RechargeFacts


class CardIssuer(Protocol):
    """One card issuer. Every coroutine raises IssuerUnavailable; a definite refusal is the REFUSED state."""

    @property
    def name(self) -> str: ...

    async def submit(self, request: RechargeRequest) -> RechargeFacts: ...

    async def query(self, attempt_id: UUID) -> RechargeFacts:
        """NOT_FOUND says that the issuer never saw the attempt, so that it may be sent again under the same id."""

    def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> IssuerNotice:
        """Verify, decrypt and read a callback. Raises IssuerNoticeRefused."""
