"""What the cards room asks of the card issuers. Amounts are fen, times are aware."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol
from uuid import UUID

from kernel.states import CardBrand, CardCondition


class IssuerUnavailable(Exception):
    """No answer, or one that settles nothing. The recharge may have happened: unknown means pending."""


class IssuerNoticeRefused(Exception):
    """A callback that is forged, altered, stale or unreadable; nothing of it may be used."""


class IssuerHint(Exception):
    """A callback that proves nothing by itself: a reason to ask about the attempt, and nothing of it is believed."""

    def __init__(self, attempt_id: UUID) -> None:
        self.attempt_id = attempt_id
        super().__init__(f"about {attempt_id}")


class UnknownIssuer(Exception):
    """An attempt or a request names an issuer that this deployment does not have, or has no more."""


class IssuerBillNotReady(Exception):
    """The bill of this day is not made yet; it may be asked for later."""


class IssuerBillRefused(Exception):
    """The bill is cut off, altered or unreadable; nothing of it may be used."""


class IssuerOrderState(StrEnum):
    """REVERSED is a recharge that had succeeded and that the issuer took back.

    NOT_ACCEPTED is a definite word that nothing was taken on and nothing will come of it, for a reason that is the
    issuer's own and not the card's: its deposit of ours is too low, the brand is closed, or it is under maintenance.
    """

    NOT_FOUND = "NOT_FOUND"
    PROCESSING = "PROCESSING"
    SUCCEEDED = "SUCCEEDED"
    REFUSED = "REFUSED"
    REVERSED = "REVERSED"
    NOT_ACCEPTED = "NOT_ACCEPTED"


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


@dataclass(frozen=True, slots=True)
class DepositFacts:
    """What of our money an issuer still has."""

    available_fen: int


@dataclass(frozen=True, slots=True)
class CardFacts:
    """`owner_hint` is the owner's name as the issuer masks it, or empty."""

    condition: CardCondition
    owner_hint: str


@dataclass(frozen=True, slots=True)
class IssuerBillLine:
    """One recharge of a day's bill; `state` is SUCCEEDED or REVERSED, and `cost_fen` what was taken or put back."""

    attempt_id: UUID
    issuer_order_id: str
    state: IssuerOrderState
    amount_fen: int
    cost_fen: int


class CardIssuer(Protocol):
    """One card issuer. Every coroutine raises IssuerUnavailable.

    A definite refusal is the state REFUSED; a definite word that it was not taken on is NOT_ACCEPTED.
    """

    @property
    def name(self) -> str: ...

    @property
    def notice_answer(self) -> str:
        """What it reads in the answer to a callback as received; empty where the status is enough."""

    def cost_fen(self, brand: CardBrand, amount_fen: int) -> int | None:
        """Return what a recharge is to cost by our contract, in fen; None where it does not serve the brand."""

    async def balance(self) -> DepositFacts: ...

    async def check_card(self, brand: CardBrand, card_number: str) -> CardFacts: ...

    async def fetch_bill(self, day: date, into: Path) -> None:
        """Download the bill of a business day. Raises IssuerBillNotReady or IssuerBillRefused as well."""

    def read_bill(self, path: Path) -> Iterator[IssuerBillLine]:
        """Read a downloaded bill line by line, after it was verified whole. Raises IssuerBillRefused."""

    async def submit(self, request: RechargeRequest) -> RechargeFacts: ...

    async def query(self, attempt_id: UUID) -> RechargeFacts:
        """NOT_FOUND says that the issuer never saw the attempt, so that it may be sent again under the same id."""

    def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> IssuerNotice:
        """Verify, decrypt and read a callback. Raises IssuerNoticeRefused or IssuerHint."""


@dataclass(frozen=True, slots=True)
class Issuers:
    """The issuers of this deployment; there is at least one. The order decides where nothing else does."""

    all: tuple[CardIssuer, ...]

    @property
    def main(self) -> CardIssuer:
        return self.all[0]

    def of(self, name: str) -> CardIssuer:
        """Return the issuer that an attempt was sent to. Raises UnknownIssuer."""
        for issuer in self.all:
            if issuer.name == name:
                return issuer
        raise UnknownIssuer(name)
