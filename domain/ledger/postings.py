"""The postings of the house, each balanced by construction. Amounts are fen; debits are positive, credits negative."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from domain.ledger.chart import kind_of

TRANSIT = "recharge_transit"
REFUNDS_PAYABLE = "refunds_payable"
COMMISSION = "commission_income"
LOSS = "loss"
FEES = "fee_expense"
ESCROW_OPERATING = "escrow:operating"
ESCROW_RESERVE = "escrow:reserve"


def channel_clearing(channel: str, sub_mchid: str) -> str:
    return f"channel_clearing:{channel}:{sub_mchid}"


def issuer_prepaid(issuer: str) -> str:
    return f"issuer_prepaid:{issuer}"


def merchant_payable(sub_mchid: str) -> str:
    return f"merchant_payable:{sub_mchid}"


def held_in(escrow: str) -> str:
    """The part of an escrow account that is set aside for transfers that are not over."""
    return f"{escrow}_held"


# Both accounts that make up a wallet.
WALLET_PREFIXES = ("customer_prepaid:", "customer_held:")


def customer_prepaid(user_id: UUID) -> str:
    return f"customer_prepaid:{user_id}"


def customer_held(user_id: UUID) -> str:
    """The part of a wallet that is reserved for an order that is being paid."""
    return f"customer_held:{user_id}"


def suspense(party: str) -> str:
    """What a third party's word and our books disagree about, until a person has decided."""
    return f"suspense:{party}"


@dataclass(frozen=True, slots=True)
class Line:
    account: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Posting:
    """A set of lines that sums to zero, under the key that lets it happen once. Every account is of the chart.

    `user_id` is whose money moves; it is None for what belongs to nobody, such as a settlement into escrow. A posting
    outside these rules raises AssertionError.
    """

    key: str
    user_id: UUID | None
    order_id: UUID | None
    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        if sum(line.amount_fen for line in self.lines) != 0:
            raise AssertionError(f"posting {self.key} does not balance")
        if not self.lines or any(line.amount_fen == 0 for line in self.lines):
            raise AssertionError(f"posting {self.key} has an empty line")
        if len({line.account for line in self.lines}) != len(self.lines):
            raise AssertionError(f"posting {self.key} names an account twice")
        for line in self.lines:
            self._check_account(line.account)

    def _check_account(self, account: str) -> None:
        kind = kind_of(account)
        if kind.of_user and account != f"{kind.prefix}{self.user_id}":
            raise AssertionError(f"posting {self.key} moves the money of somebody else")
        if kind.house_only and self.user_id is not None:
            raise AssertionError(f"posting {self.key} of a user moves {account}")


@dataclass(frozen=True, slots=True)
class Whose:
    """The order that a posting belongs to, and its user."""

    order_id: UUID
    user_id: UUID

    def posting(self, event: str, *lines: Line) -> Posting:
        return Posting(f"{self.order_id}:{event}", self.user_id, self.order_id, lines)


def paid(whose: Whose, *, attempt: int, source: str, amount_fen: int) -> Posting:
    """L1: the customer paid, through a channel's clearing or out of the wallet's hold; we owe a recharge."""
    return whose.posting(f"paid:{attempt}", Line(source, amount_fen), Line(TRANSIT, -amount_fen))


def succeeded(whose: Whose, *, issuer: str, price_fen: int, cost_fen: int) -> Posting:
    """L2: the issuer recharged the card for `cost_fen` of our deposit; the rest is commission, a shortfall a loss."""
    return whose.posting("succeeded", Line(TRANSIT, price_fen), *_cost(issuer, price_fen, cost_fen))


def reversed_recharge(whose: Whose, *, issuer: str, price_fen: int, cost_fen: int) -> Posting:
    """L2 turned round: the issuer took the recharge back and our deposit has its cost again."""
    back = (Line(line.account, -line.amount_fen) for line in _cost(issuer, price_fen, cost_fen))
    return whose.posting("reversed", Line(TRANSIT, -price_fen), *back)


def _cost(issuer: str, price_fen: int, cost_fen: int) -> list[Line]:
    lines = [Line(issuer_prepaid(issuer), -cost_fen)] if cost_fen > 0 else []
    margin = price_fen - cost_fen
    if margin:
        lines.append(Line(COMMISSION if margin > 0 else LOSS, -margin))
    return lines


def failed(whose: Whose, *, attempt: int, amount_fen: int) -> Posting:
    """L3: there will be no recharge for this payment; we owe the customer the money back."""
    return whose.posting(f"failed:{attempt}", Line(TRANSIT, amount_fen), Line(REFUNDS_PAYABLE, -amount_fen))


def refunded(whose: Whose, *, attempt: int, source: str, amount_fen: int) -> Posting:
    """L4: the money went back by the route it came, to the channel's payer or into the wallet."""
    return whose.posting(f"refunded:{attempt}", Line(REFUNDS_PAYABLE, amount_fen), Line(source, -amount_fen))


def held(whose: Whose, *, attempt: int, amount_fen: int) -> Posting:
    """The wallet sets aside what an order costs; the database refuses more than is there."""
    lines = (Line(customer_prepaid(whose.user_id), amount_fen), Line(customer_held(whose.user_id), -amount_fen))
    return whose.posting(f"held:{attempt}", *lines)


def released(whose: Whose, *, attempt: int, amount_fen: int) -> Posting:
    """The order will not take what the wallet had set aside."""
    lines = (Line(customer_held(whose.user_id), amount_fen), Line(customer_prepaid(whose.user_id), -amount_fen))
    return whose.posting(f"released:{attempt}", *lines)


def users_of(postings: Iterable[Posting]) -> set[UUID]:
    """Return whose wallets the postings move."""
    accounts = {line.account for posting in postings for line in posting.lines}
    return {UUID(account.partition(":")[2]) for account in accounts if account.startswith(WALLET_PREFIXES)}


def topped_up(*, top_up_id: UUID, user_id: UUID, clearing: str, amount_fen: int) -> Posting:
    """The customer paid into the wallet."""
    lines = (Line(clearing, amount_fen), Line(customer_prepaid(user_id), -amount_fen))
    return Posting(f"{top_up_id}:topped_up", user_id, None, lines)


def recharged_after_failure(whose: Whose, *, attempt: int, issuer: str, cost_fen: int) -> Posting:
    """The issuer recharged after all what we owe or have paid back: our deposit is spent and nobody has paid for it."""
    lines = (Line(suspense(issuer), cost_fen), Line(issuer_prepaid(issuer), -cost_fen))
    return whose.posting(f"clawback:{attempt}", *lines)


def recovered(whose: Whose, *, case_id: UUID, issuer: str, amount_fen: int) -> Posting:
    """The customer's wallet pays for the recharge that came after the refund."""
    lines = (Line(customer_prepaid(whose.user_id), amount_fen), Line(suspense(issuer), -amount_fen))
    return whose.posting(f"recovered:{case_id}", *lines)


def claw_back_undone(whose: Whose, *, case_id: UUID, issuer: str, payer: str, amount_fen: int) -> Posting:
    """The issuer took that recharge back as well: our deposit has its cost again, and nobody is charged with it."""
    lines = (Line(issuer_prepaid(issuer), amount_fen), Line(payer, -amount_fen))
    return whose.posting(f"claw_back_undone:{case_id}", *lines)


def written_off(whose: Whose, *, case_id: UUID, issuer: str, amount_fen: int) -> Posting:
    """Two people gave up getting it back."""
    return whose.posting(f"written_off:{case_id}", Line(LOSS, amount_fen), Line(suspense(issuer), -amount_fen))


def settled(*, reference: str, clearing: str, amount_fen: int, fee_fen: int) -> Posting:
    """A channel paid out what it had cleared, less its fee. `reference` is the channel's own of the settlement."""
    arrived = [Line(ESCROW_OPERATING, amount_fen - fee_fen)] if amount_fen != fee_fen else []
    fee = [Line(FEES, fee_fen)] if fee_fen else []
    return Posting(f"{reference}:settled", None, None, (*arrived, *fee, Line(clearing, -amount_fen)))


def swept(*, reference: str, into: str, amount_fen: int) -> Posting:
    """Money moved from one escrow account into the other; the database refuses more than is there."""
    source = {ESCROW_OPERATING: ESCROW_RESERVE, ESCROW_RESERVE: ESCROW_OPERATING}[into]
    return Posting(f"{reference}:swept", None, None, (Line(into, amount_fen), Line(source, -amount_fen)))


def suspended(*, difference_id: UUID, number: int, account: str, party: str, amount_fen: int) -> Posting:
    """A third party's account is made what its bill says; what nobody can explain yet stands in suspense.

    `amount_fen` is positive where the bill says more than our books, and `number` counts how often it was found.
    """
    lines = (Line(account, amount_fen), Line(suspense(party), -amount_fen))
    return Posting(f"{difference_id}:suspended:{number}", None, None, lines)


def unsuspended(*, difference_id: UUID, number: int, account: str, party: str, amount_fen: int) -> Posting:
    """Bill and books agree after all, by bookings of their own."""
    lines = (Line(suspense(party), amount_fen), Line(account, -amount_fen))
    return Posting(f"{difference_id}:unsuspended:{number}", None, None, lines)


def explained(*, difference_id: UUID, number: int, target: str, party: str, amount_fen: int) -> Posting:
    """Two people have decided what the amount in suspense is."""
    lines = (Line(suspense(party), amount_fen), Line(target, -amount_fen))
    return Posting(f"{difference_id}:explained:{number}", None, None, lines)
