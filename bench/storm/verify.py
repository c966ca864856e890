"""The judgement over a storm: clients, books, and the third parties' own records must tell one story. No I/O."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bench.storm.witness import Promise

PAID_AT_CHANNEL = frozenset({"SUCCESS", "REFUND"})


class Fault(StrEnum):
    LOST = "lost"  # Somebody is missing money, or a recharge that was acknowledged.
    DOUBLED = "doubled"  # Money went out twice, or an order exists that nobody asked for.
    UNEXPLAINED = "unexplained"  # An order is at no end, and waits for nobody.
    CONTRADICTION = "contradiction"  # Two records tell different stories.


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong about a subject (an order, a key or a third party's number), and how much money it is."""

    fault: Fault
    subject: str
    what: str
    amount_fen: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    id: str
    amount_fen: int
    state: str
    failure_kind: str | None
    refund_state: str


@dataclass(frozen=True, slots=True)
class Payment:
    """An attempt to pay: `order_id` is empty in the channel's record, which knows no orders."""

    number: str
    order_id: str
    amount_fen: int
    state: str
    transaction_id: str | None


@dataclass(frozen=True, slots=True)
class Refund:
    number: str
    order_id: str
    amount_fen: int
    state: str


@dataclass(frozen=True, slots=True)
class Recharge:
    """What the issuer did under an attempt's id."""

    attempt_id: str
    card_tail: str
    amount_fen: int
    state: str


@dataclass(frozen=True, slots=True)
class Books:
    """The service's own rows. `keys` are pairs of idempotency key and order, `parked` the reasons by order."""

    orders: Mapping[str, Order]
    keys: Iterable[tuple[str, str]]
    attempts: Mapping[str, str]
    payments: Mapping[str, Payment]
    refunds: Mapping[str, Refund]
    parked: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class World:
    """What the payment channel and the card issuer have on record."""

    payments: Mapping[str, Payment]
    refunds: Mapping[str, Refund]
    recharges: Mapping[str, Recharge]


@dataclass(frozen=True, slots=True)
class Verdict:
    findings: tuple[Finding, ...]
    ends: Counter[str] = field(default_factory=Counter)

    def fen(self, fault: Fault) -> int:
        """Return the money of all findings of a kind; what several of them say of one subject counts once."""
        by_subject: dict[str, int] = defaultdict(int)
        for finding in self.findings:
            if finding.fault is fault:
                by_subject[finding.subject] = max(by_subject[finding.subject], finding.amount_fen)
        return sum(by_subject.values())

    def count(self, fault: Fault) -> int:
        return sum(finding.fault is fault for finding in self.findings)


def judge(promises: Iterable[Promise], books: Books, world: World) -> Verdict:
    """Hold the three against each other."""
    promises = list(promises)
    findings = (
        *_promises_kept(promises, books),
        *_nothing_unasked(promises, books),
        *_arrived_once(books, world),
        *_arrived_on_cards(promises, books, world),
        *_paid_as_booked(books, world),
        *_refunded_as_booked(books, world),
        *_money_balances(books, world),
        *_at_an_end(books),
    )
    return Verdict(findings, Counter(_end_of(order, books) for order in books.orders.values()))


def _promises_kept(promises: list[Promise], books: Books) -> Iterator[Finding]:
    keys = {order_id: key for key, order_id in books.keys}
    for promise in promises:
        others = len(promise.order_ids) - 1
        if others > 0:
            what = f"one key was answered with {others + 1} orders"
            yield Finding(Fault.DOUBLED, promise.key, what, others * promise.amount_fen)
        for order_id in promise.order_ids:
            order = books.orders.get(order_id)
            if order is None:
                yield Finding(Fault.LOST, order_id, "acknowledged, and not in the books", promise.amount_fen)
            elif order.amount_fen != promise.amount_fen:
                what = f"acknowledged over {promise.amount_fen} fen, booked over {order.amount_fen}"
                yield Finding(Fault.CONTRADICTION, order_id, what)
            elif keys.get(order_id) != promise.key:
                yield Finding(Fault.CONTRADICTION, order_id, "made by another key than it was acknowledged to")


def _nothing_unasked(promises: list[Promise], books: Books) -> Iterator[Finding]:
    asked = {promise.key for promise in promises}
    made = Counter(key for key, _ in books.keys)
    by_order = {order_id: key for key, order_id in books.keys}
    for order in books.orders.values():
        key = by_order.get(order.id)
        if key is None or key not in asked:
            yield Finding(Fault.DOUBLED, order.id, "an order that nobody asked for", order.amount_fen)
        elif made[key] > 1:
            what = f"one of {made[key]} orders of one key"
            yield Finding(Fault.DOUBLED, key, what, (made[key] - 1) * order.amount_fen)


def _succeeded(world: World) -> Iterator[Recharge]:
    return (recharge for recharge in world.recharges.values() if recharge.state == "SUCCEEDED")


def _arrived_once(books: Books, world: World) -> Iterator[Finding]:
    arrived: dict[str, list[Recharge]] = defaultdict(list)
    for recharge in _succeeded(world):
        order_id = books.attempts.get(recharge.attempt_id)
        if order_id is None:
            what = "the issuer recharged for an attempt that is not in the books"
            yield Finding(Fault.DOUBLED, recharge.attempt_id, what, recharge.amount_fen)
        else:
            arrived[order_id].append(recharge)
    for order in books.orders.values():
        total_fen = sum(recharge.amount_fen for recharge in arrived[order.id])
        if len(arrived[order.id]) > 1 or total_fen > order.amount_fen:
            what = f"the issuer recharged {len(arrived[order.id])} times"
            yield Finding(Fault.DOUBLED, order.id, what, total_fen - order.amount_fen)
        elif order.state == "SUCCEEDED" and total_fen < order.amount_fen:
            what = f"succeeded, and {total_fen} fen arrived"
            yield Finding(Fault.LOST, order.id, what, order.amount_fen - total_fen)
        elif order.state == "FAILED" and total_fen and order.id not in books.parked:
            yield Finding(Fault.CONTRADICTION, order.id, "failed, and the issuer recharged")


def _arrived_on_cards(promises: list[Promise], books: Books, world: World) -> Iterator[Finding]:
    """Hold the issuer's record against the clients' own, past the attempts that the books name."""
    expected: Counter[str] = Counter()
    for promise in promises:
        order = books.orders.get(promise.order_id or "")
        if order is not None and order.state == "SUCCEEDED":
            expected[promise.card_tail] += promise.amount_fen
    arrived: Counter[str] = Counter()
    for recharge in _succeeded(world):
        arrived[recharge.card_tail] += recharge.amount_fen
    for tail in expected.keys() | arrived.keys():
        if expected[tail] != arrived[tail]:
            what = f"{expected[tail]} fen were to arrive on the card, and {arrived[tail]} did"
            yield Finding(Fault.CONTRADICTION, f"card {tail}", what)


def _paid_as_booked(books: Books, world: World) -> Iterator[Finding]:
    for trade in world.payments.values():
        booked = books.payments.get(trade.number)
        paid = trade.state in PAID_AT_CHANNEL
        if booked is None:
            if paid:
                yield Finding(Fault.LOST, trade.number, "paid, and not in the books", trade.amount_fen)
        elif paid and booked.state != "PAID":
            if booked.order_id not in books.parked:
                what = f"paid under {trade.number}, and booked as {booked.state}"
                yield Finding(Fault.LOST, booked.order_id, what, trade.amount_fen)
        elif paid and (trade.amount_fen, trade.transaction_id) != (booked.amount_fen, booked.transaction_id):
            yield Finding(Fault.CONTRADICTION, booked.order_id, f"{trade.number} is booked with other facts")
    paid_numbers = {trade.number for trade in world.payments.values() if trade.state in PAID_AT_CHANNEL}
    for payment in books.payments.values():
        if payment.state == "PAID" and payment.number not in paid_numbers:
            yield Finding(Fault.CONTRADICTION, payment.order_id, f"{payment.number} is booked as paid, and is not")


def _refunded_as_booked(books: Books, world: World) -> Iterator[Finding]:
    for refund in world.refunds.values():
        booked = books.refunds.get(refund.number)
        if booked is None:
            yield Finding(Fault.DOUBLED, refund.number, "refunded, and not in the books", refund.amount_fen)
        elif booked.order_id not in books.parked and (booked.state, booked.amount_fen) != (
            refund.state,
            refund.amount_fen,
        ):
            what = f"refund {refund.number} is {refund.state}, and booked as {booked.state}"
            yield Finding(Fault.CONTRADICTION, booked.order_id, what)
    for number in books.refunds.keys() - world.refunds.keys():
        booked = books.refunds[number]
        if booked.state == "SUCCESS":
            yield Finding(Fault.CONTRADICTION, booked.order_id, f"refund {number} is booked, and was never made")


def _money_balances(books: Books, world: World) -> Iterator[Finding]:
    """What the channel keeps of an order is its amount where it succeeded, and nothing where it failed."""
    kept: Counter[str] = Counter()
    for number, booked in books.payments.items():
        trade = world.payments.get(number)
        if trade is not None and trade.state in PAID_AT_CHANNEL:
            kept[booked.order_id] += trade.amount_fen
    for number, owed in books.refunds.items():
        refund = world.refunds.get(number)
        if refund is not None and refund.state == "SUCCESS":
            kept[owed.order_id] -= refund.amount_fen
    for order in books.orders.values():
        if order.state not in {"SUCCEEDED", "FAILED"} or order.id in books.parked:
            continue
        due_fen = order.amount_fen if order.state == "SUCCEEDED" else 0
        if kept[order.id] > due_fen:
            what = f"{order.state}, and {kept[order.id]} fen are kept instead of {due_fen}"
            yield Finding(Fault.LOST, order.id, what, kept[order.id] - due_fen)
        elif kept[order.id] < due_fen:
            what = f"{order.state}, and only {kept[order.id]} fen of {due_fen} are kept"
            yield Finding(Fault.DOUBLED, order.id, what, due_fen - kept[order.id])


def _end_of(order: Order, books: Books) -> str:
    """Return where an order has ended: a state with its explanation, the manual queue, or nowhere."""
    if order.state == "SUCCEEDED":
        return "SUCCEEDED"
    if order.id in books.parked:
        return "in the manual queue"
    if order.state == "FAILED" and order.failure_kind and order.refund_state in {"NONE", "SUCCESS"}:
        return f"FAILED, {order.failure_kind}, refund {order.refund_state}"
    return f"unexplained: {order.state}, refund {order.refund_state}"


def _at_an_end(books: Books) -> Iterator[Finding]:
    for order in books.orders.values():
        end = _end_of(order, books)
        if end.startswith("unexplained"):
            yield Finding(Fault.UNEXPLAINED, order.id, end, order.amount_fen)


def unexplained(books: Books) -> list[Finding]:
    """Return the orders that are neither at an end nor waiting for a person."""
    return list(_at_an_end(books))
