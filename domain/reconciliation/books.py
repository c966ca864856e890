"""Our side of each bill: the rows that a third party should tell of too, by day and by key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from tortoise.queryset import QuerySet

from domain.ledger import postings
from domain.reconciliation.rules import Entry, Standing, entry
from kernel.states import BillEntryKind, ErrorKind, PaymentState, RechargeState, RefundState
from models.ledger import LedgerEntry
from models.orders import RechargeAttempt
from models.payments import PaymentAttempt, Refund, WalletTopUp
from models.reviews import ErrorEntry

PAGE_SIZE = 5_000

PAYMENT_STANDINGS = {PaymentState.PAID: Standing.SETTLED, PaymentState.OPEN: Standing.PENDING}
REFUND_STANDINGS = {RefundState.SUCCESS: Standing.SETTLED, RefundState.PROCESSING: Standing.PENDING}
# One that came beside its order has cost as much of our deposit as any other.
RECHARGED = (RechargeState.SUCCEEDED, RechargeState.SURPLUS, RechargeState.REVERSED)

Name = tuple[str, str]


class UnknownSource(Exception):
    """A name that is neither a channel with its merchant, an issuer, nor an escrow account."""


class Books(Protocol):
    """What we have of one source. `account` is the party's in our ledger, and `party` names its suspense."""

    @property
    def account(self) -> str: ...

    @property
    def party(self) -> str: ...

    def of_day(self, *, since: datetime, until: datetime) -> AsyncIterator[list[Entry]]:
        """Yield pages of what was settled in the time, in any order."""

    async def by_names(self, names: Sequence[Name]) -> dict[Name, Entry]:
        """Return what there is under the kinds and keys, whenever it was and however it stands."""


def books_of(source: str) -> Books:
    """Return our side of a source by its name. Raises UnknownSource."""
    kind, _, rest = source.partition(":")
    if not rest:
        raise UnknownSource(source)
    if kind == "issuer":
        return IssuerBooks(rest)
    if kind == "escrow":
        if source not in (postings.ESCROW_OPERATING, postings.ESCROW_RESERVE):
            raise UnknownSource(source)
        return EscrowBooks(source)
    return ChannelBooks(kind, rest)


@dataclass(frozen=True, slots=True)
class ChannelBooks:
    """Payments and refunds by one merchant of one channel, those into wallets included."""

    channel: str
    sub_mchid: str

    @property
    def account(self) -> str:
        return postings.channel_clearing(self.channel, self.sub_mchid)

    @property
    def party(self) -> str:
        return self.channel

    async def of_day(self, *, since: datetime, until: datetime) -> AsyncIterator[list[Entry]]:
        """Yield what was paid and refunded in the time, by when we knew of it."""
        attempts = PaymentAttempt.filter(channel=self.channel, sub_mchid=self.sub_mchid, state=PaymentState.PAID)
        async for rows in _pages(attempts, since, until, *PAYMENT_COLUMNS):
            yield [_payment(*row) for row in rows]
        top_ups = WalletTopUp.filter(channel=self.channel, sub_mchid=self.sub_mchid, state=PaymentState.PAID)
        async for rows in _pages(top_ups, since, until, *PAYMENT_COLUMNS):
            yield [_payment(*row) for row in rows]
        async for rows in _pages(Refund.filter(state=RefundState.SUCCESS), since, until, "attempt_id", *REFUND_COLUMNS):
            mine = await self._attempts([row[0] for row in rows])
            yield [_refund(*row[1:]) for row in rows if row[0] in mine]

    async def by_names(self, names: Sequence[Name]) -> dict[Name, Entry]:
        payments = [key for kind, key in names if kind == BillEntryKind.PAYMENT]
        refunds = [key for kind, key in names if kind == BillEntryKind.REFUND]
        found: list[Entry] = []
        if payments:
            for model in (PaymentAttempt, WalletTopUp):
                rows = model.filter(channel=self.channel, sub_mchid=self.sub_mchid, out_trade_no__in=payments)
                found += [_payment(*row) for row in await rows.values_list(*PAYMENT_COLUMNS)]
        if refunds:
            pairs = await Refund.filter(out_refund_no__in=refunds).values_list("attempt_id", *REFUND_COLUMNS)
            mine = await self._attempts([row[0] for row in pairs])
            found += [_refund(*row[1:]) for row in pairs if row[0] in mine]
        return {each.name: each for each in found}

    async def _attempts(self, ids: list[UUID]) -> set[UUID]:
        """Return which of the attempts were made by this route."""
        rows = PaymentAttempt.filter(id__in=ids, channel=self.channel, sub_mchid=self.sub_mchid)
        return set(await rows.values_list("id", flat=True)) if ids else set()  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class IssuerBooks:
    """Recharges by one card issuer, and those that it took back: face values, and what they cost of our deposit."""

    issuer: str

    @property
    def account(self) -> str:
        return postings.issuer_prepaid(self.issuer)

    @property
    def party(self) -> str:
        return self.issuer

    async def of_day(self, *, since: datetime, until: datetime) -> AsyncIterator[list[Entry]]:
        recharged = RechargeAttempt.filter(issuer=self.issuer, state__in=RECHARGED)
        async for rows in _pages(recharged, since, until, *RECHARGE_COLUMNS):
            yield [_recharge(*row) for row in rows]
        taken_back = ErrorEntry.filter(kind=ErrorKind.RECHARGE_REVERSED)
        async for rows in _pages(taken_back, since, until, "key", at="occurred_at"):
            keys = [row[0].partition(":")[2] for row in rows]
            yield list((await self.by_names([(BillEntryKind.REVERSAL, key) for key in keys])).values())

    async def by_names(self, names: Sequence[Name]) -> dict[Name, Entry]:
        found: dict[Name, Entry] = {}
        ids = {identifier for _, key in names if (identifier := _uuid(key))}
        if not ids:
            return found
        wanted = {(str(kind), key) for kind, key in names}
        for row in await RechargeAttempt.filter(issuer=self.issuer, id__in=ids).values_list(*RECHARGE_COLUMNS):
            for each in (_recharge(*row), _reversal(*row)):
                if each and each.name in wanted:
                    found[each.name] = each
        return found


@dataclass(frozen=True, slots=True)
class EscrowBooks:
    """What the bank moves on one of our escrow accounts, by the reference that it was given.

    Transfers leave from the part that is set aside for them, so both parts are the bank's one account.
    """

    account: str

    @property
    def party(self) -> str:
        return "escrow"

    @property
    def parts(self) -> list[str]:
        return [self.account, postings.held_in(self.account)]

    async def of_day(self, *, since: datetime, until: datetime) -> AsyncIterator[list[Entry]]:
        moves = LedgerEntry.filter(account__code__in=self.parts)
        async for rows in _pages(moves, since, until, "transaction__key", "amount_fen", at="occurred_at"):
            yield [move for row in rows if (move := _transfer(*row))]

    async def by_names(self, names: Sequence[Name]) -> dict[Name, Entry]:
        keys = [f"{key}{ending}" for _, key in names for ending in TRANSFER_ENDINGS]
        rows = LedgerEntry.filter(account__code__in=self.parts, transaction__key__in=keys)
        moves = [_transfer(*row) for row in await rows.values_list("transaction__key", "amount_fen")]
        return {move.name: move for move in moves if move}


PAYMENT_COLUMNS = ("out_trade_no", "state", "amount_fen", "transaction_id", "user_id")
REFUND_COLUMNS = ("out_refund_no", "state", "amount_fen", "channel_refund_id", "user_id")
RECHARGE_COLUMNS = ("id", "state", "order__amount_fen", "cost_fen", "issuer_order_id", "user_id")
TRANSFER_ENDINGS = (":settled", ":swept", ":withdrawn", ":claimed")


def _payment(key: str, state: PaymentState, amount_fen: int, reference: str | None, owner: UUID) -> Entry:
    return entry(
        BillEntryKind.PAYMENT,
        key,
        PAYMENT_STANDINGS.get(state, Standing.VOID),
        state=str(state.value),
        amount_fen=amount_fen,
        effect_fen=amount_fen,
        reference=reference or "",
        owner=owner,
    )


def _refund(key: str, state: RefundState, amount_fen: int, reference: str | None, owner: UUID) -> Entry:
    return entry(
        BillEntryKind.REFUND,
        key,
        REFUND_STANDINGS.get(state, Standing.VOID),
        state=str(state.value),
        amount_fen=amount_fen,
        effect_fen=-amount_fen,
        reference=reference or "",
        owner=owner,
    )


def _recharge(
    key: UUID, state: RechargeState, amount_fen: int, cost_fen: int | None, reference: str | None, owner: UUID
) -> Entry:
    standing = Standing.SETTLED if state in RECHARGED else Standing.VOID
    if state is RechargeState.SUBMITTED:
        standing = Standing.PENDING
    return entry(
        BillEntryKind.RECHARGE,
        str(key),
        standing,
        state=str(state.value),
        amount_fen=amount_fen,
        effect_fen=-(cost_fen or 0),
        reference=reference or "",
        owner=owner,
    )


def _reversal(
    key: UUID, state: RechargeState, amount_fen: int, cost_fen: int | None, reference: str | None, owner: UUID
) -> Entry | None:
    if state is not RechargeState.REVERSED:
        return None
    return entry(
        BillEntryKind.REVERSAL,
        str(key),
        Standing.SETTLED,
        state=str(state.value),
        amount_fen=amount_fen,
        effect_fen=cost_fen or 0,
        reference=reference or "",
        owner=owner,
    )


def _transfer(key: str, amount_fen: int) -> Entry | None:
    for ending in TRANSFER_ENDINGS:
        if key.endswith(ending):
            return entry(
                BillEntryKind.TRANSFER,
                key.removesuffix(ending),
                Standing.SETTLED,
                state="BOOKED",
                amount_fen=abs(amount_fen),
                effect_fen=amount_fen,
            )
    return None


async def _pages(
    rows: QuerySet[Any], since: datetime, until: datetime, *columns: str, at: str = "settled_at"
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """Yield the columns of the rows whose time `at` lies in the range, page by page along their index."""
    rows, last_id = rows.filter(**{f"{at}__lt": until}), None
    while True:
        page = rows.filter(**{f"{at}__gte": since})
        if last_id is not None:
            page = page.exclude(**{at: since, "id__lte": last_id})
        found = await page.order_by(at, "id").limit(PAGE_SIZE).values_list(at, "id", *columns)
        if found:
            yield [row[2:] for row in found]
        if len(found) < PAGE_SIZE:
            return
        since, last_id = found[-1][:2]


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
