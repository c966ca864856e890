"""The judgement finds what was planted: a true story first, then one lie at a time."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace

import pytest

from bench.storm.verify import Books, Fault, Order, Payment, Recharge, Refund, World, judge, unexplained
from bench.storm.witness import Promise

FEN = 5_000


@dataclass
class Story:
    """Two orders as everybody tells of them: `ok` has arrived, `no` was refused and paid back."""

    promises: dict[str, Promise] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    keys: list[tuple[str, str]] = field(default_factory=list)
    attempts: dict[str, str] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    parked: dict[str, str] = field(default_factory=dict)
    trades: dict[str, Payment] = field(default_factory=dict)
    paid_back: dict[str, Refund] = field(default_factory=dict)
    recharges: dict[str, Recharge] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.add("ok", Order("ok", FEN, "SUCCEEDED", None, "NONE"), arrived="SUCCEEDED")
        self.add("no", Order("no", FEN, "FAILED", "ISSUER_REFUSED", "SUCCESS"), arrived="REFUSED")
        self.refunds["R-no"] = Refund("R-no", "no", FEN, "SUCCESS")
        self.paid_back["R-no"] = Refund("R-no", "", FEN, "SUCCESS")
        self.trades["T-no"] = replace(self.trades["T-no"], state="REFUND")

    def add(self, name: str, order: Order, *, arrived: str) -> None:
        """Add an order that was paid, with what the issuer did."""
        self.promises[name] = Promise(f"key-{name}", f"card-{name}", FEN, {name}, payable=True, paid=True)
        self.orders[name] = order
        self.keys.append((f"key-{name}", name))
        self.attempts[f"A-{name}"] = name
        self.payments[f"T-{name}"] = Payment(f"T-{name}", name, FEN, "PAID", f"W-{name}")
        self.trades[f"T-{name}"] = Payment(f"T-{name}", "", FEN, "SUCCESS", f"W-{name}")
        self.recharges[f"A-{name}"] = Recharge(f"A-{name}", f"card-{name}", FEN, arrived)

    @property
    def books(self) -> Books:
        return Books(self.orders, self.keys, self.attempts, self.payments, self.refunds, self.parked)

    @property
    def world(self) -> World:
        return World(self.trades, self.paid_back, self.recharges)


def found(story: Story) -> set[tuple[Fault, str]]:
    verdict = judge(story.promises.values(), story.books, story.world)
    return {(finding.fault, finding.subject) for finding in verdict.findings}


def test_a_true_story_has_no_faults() -> None:
    story = Story()
    verdict = judge(story.promises.values(), story.books, story.world)
    assert verdict.findings == ()
    assert verdict.ends == {"SUCCEEDED": 1, "FAILED, ISSUER_REFUSED, refund SUCCESS": 1}


def test_an_order_that_nobody_paid_is_explained() -> None:
    story = Story()
    story.promises["idle"] = Promise("key-idle", "card-idle", FEN, {"idle"}, payable=True)
    story.orders["idle"] = Order("idle", FEN, "FAILED", "UNPAID", "NONE")
    story.keys.append(("key-idle", "idle"))
    story.payments["T-idle"] = Payment("T-idle", "idle", FEN, "CLOSED", None)
    story.trades["T-idle"] = Payment("T-idle", "", FEN, "CLOSED", None)
    assert found(story) == set()


def test_an_order_in_the_manual_queue_is_explained_and_its_money_is_not_judged() -> None:
    story = Story()
    story.add("held", Order("held", FEN, "RECHARGING", None, "NONE"), arrived="PROCESSING")
    assert found(story) == {(Fault.UNEXPLAINED, "held")}
    assert [finding.subject for finding in unexplained(story.books)] == ["held"]
    story.parked["held"] = "query_recharge: NeedsPerson"
    assert found(story) == set()


def lose_the_order(story: Story) -> None:
    del story.orders["ok"], story.attempts["A-ok"], story.payments["T-ok"], story.recharges["A-ok"]
    del story.trades["T-ok"]
    story.keys.remove(("key-ok", "ok"))


def answer_with_two_orders(story: Story) -> None:
    story.promises["ok"].order_ids.add("twin")
    story.add("twin", Order("twin", FEN, "SUCCEEDED", None, "NONE"), arrived="SUCCEEDED")
    del story.promises["twin"]
    story.keys[-1] = ("key-ok", "twin")


def make_an_order_that_nobody_asked_for(story: Story) -> None:
    story.add("stray", Order("stray", FEN, "SUCCEEDED", None, "NONE"), arrived="SUCCEEDED")
    del story.promises["stray"]
    story.keys.pop()


def book_another_amount(story: Story) -> None:
    story.promises["no"].amount_fen = FEN + 1


def acknowledge_to_another_key(story: Story) -> None:
    story.promises["no"].key = "key-other"
    story.promises["other"] = Promise("key-no", "card-no", FEN)


def recharge_twice(story: Story) -> None:
    story.attempts["A-ok-2"] = "ok"
    story.recharges["A-ok-2"] = Recharge("A-ok-2", "card-ok", FEN, "SUCCEEDED")


def recharge_too_much(story: Story) -> None:
    story.recharges["A-ok"] = replace(story.recharges["A-ok"], amount_fen=FEN + 100)


def recharge_without_an_attempt(story: Story) -> None:
    story.recharges["A-stray"] = Recharge("A-stray", "card-ok", FEN, "SUCCEEDED")


def recharge_nothing(story: Story) -> None:
    story.recharges["A-ok"] = replace(story.recharges["A-ok"], state="REFUSED")


def recharge_another_card(story: Story) -> None:
    story.recharges["A-ok"] = replace(story.recharges["A-ok"], card_tail="card-other")


def recharge_and_pay_back(story: Story) -> None:
    story.recharges["A-no"] = replace(story.recharges["A-no"], state="SUCCEEDED")


def pay_back_what_arrived(story: Story) -> None:
    story.paid_back["R-ok"] = Refund("R-ok", "", FEN, "SUCCESS")
    story.refunds["R-ok"] = Refund("R-ok", "ok", FEN, "SUCCESS")


def pay_back_without_booking(story: Story) -> None:
    story.paid_back["R-stray"] = Refund("R-stray", "", FEN, "SUCCESS")


def book_a_refund_that_was_not_made(story: Story) -> None:
    del story.paid_back["R-no"]


def book_a_refund_as_under_way(story: Story) -> None:
    story.refunds["R-no"] = replace(story.refunds["R-no"], state="PROCESSING")


def forget_a_payment(story: Story) -> None:
    story.trades["T-stray"] = Payment("T-stray", "", FEN, "SUCCESS", "W-stray")


def miss_a_payment(story: Story) -> None:
    story.payments["T-no"] = replace(story.payments["T-no"], state="CLOSED")


def book_a_payment_that_was_not_made(story: Story) -> None:
    story.trades["T-ok"] = replace(story.trades["T-ok"], state="NOTPAY")


def book_a_payment_with_another_transaction(story: Story) -> None:
    story.trades["T-ok"] = replace(story.trades["T-ok"], transaction_id="W-other")


def take_the_money_twice(story: Story) -> None:
    story.payments["T-ok-2"] = Payment("T-ok-2", "ok", FEN, "PAID", "W-2")
    story.trades["T-ok-2"] = Payment("T-ok-2", "", FEN, "SUCCESS", "W-2")


def keep_the_money_of_a_failure(story: Story) -> None:
    del story.refunds["R-no"], story.paid_back["R-no"]
    story.orders["no"] = replace(story.orders["no"], refund_state="NONE")


def fail_without_a_reason(story: Story) -> None:
    story.orders["no"] = replace(story.orders["no"], failure_kind=None)


def leave_a_refund_open(story: Story) -> None:
    story.orders["no"] = replace(story.orders["no"], refund_state="PROCESSING")


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (lose_the_order, {(Fault.LOST, "ok")}),
        (answer_with_two_orders, {(Fault.DOUBLED, "key-ok"), (Fault.CONTRADICTION, "card card-twin")}),
        (make_an_order_that_nobody_asked_for, {(Fault.DOUBLED, "stray"), (Fault.CONTRADICTION, "card card-stray")}),
        (book_another_amount, {(Fault.CONTRADICTION, "no")}),
        (acknowledge_to_another_key, {(Fault.CONTRADICTION, "no")}),
        (recharge_twice, {(Fault.DOUBLED, "ok"), (Fault.CONTRADICTION, "card card-ok")}),
        (recharge_too_much, {(Fault.DOUBLED, "ok"), (Fault.CONTRADICTION, "card card-ok")}),
        (recharge_without_an_attempt, {(Fault.DOUBLED, "A-stray"), (Fault.CONTRADICTION, "card card-ok")}),
        (recharge_nothing, {(Fault.LOST, "ok"), (Fault.CONTRADICTION, "card card-ok")}),
        (recharge_another_card, {(Fault.CONTRADICTION, "card card-ok"), (Fault.CONTRADICTION, "card card-other")}),
        (recharge_and_pay_back, {(Fault.CONTRADICTION, "no"), (Fault.CONTRADICTION, "card card-no")}),
        (pay_back_what_arrived, {(Fault.DOUBLED, "ok")}),
        (pay_back_without_booking, {(Fault.DOUBLED, "R-stray")}),
        (book_a_refund_that_was_not_made, {(Fault.CONTRADICTION, "no"), (Fault.LOST, "no")}),
        (book_a_refund_as_under_way, {(Fault.CONTRADICTION, "no")}),
        (forget_a_payment, {(Fault.LOST, "T-stray")}),
        (miss_a_payment, {(Fault.LOST, "no")}),
        (book_a_payment_that_was_not_made, {(Fault.CONTRADICTION, "ok"), (Fault.DOUBLED, "ok")}),
        (book_a_payment_with_another_transaction, {(Fault.CONTRADICTION, "ok")}),
        (take_the_money_twice, {(Fault.LOST, "ok")}),
        (keep_the_money_of_a_failure, {(Fault.LOST, "no")}),
        (fail_without_a_reason, {(Fault.UNEXPLAINED, "no")}),
        (leave_a_refund_open, {(Fault.UNEXPLAINED, "no")}),
    ],
    ids=lambda plant: plant.__name__.replace("_", " ") if callable(plant) else "",
)
def test_a_planted_lie_is_found(plant: Callable[[Story], None], expected: set[tuple[Fault, str]]) -> None:
    story = Story()
    plant(story)
    assert found(story) == expected


def test_money_that_two_rules_miss_counts_once() -> None:
    story = Story()
    book_a_refund_that_was_not_made(story)
    forget_a_payment(story)
    verdict = judge(story.promises.values(), story.books, story.world)
    assert verdict.fen(Fault.LOST) == 2 * FEN
    assert verdict.fen(Fault.DOUBLED) == 0
    assert verdict.count(Fault.LOST) == 2


def test_the_story_is_not_changed_by_being_judged() -> None:
    story = Story()
    before = deepcopy(story)
    found(story)
    assert story == before
