"""Mutations of several people at once, to be cut off, and what must have become of each when it is repeated."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import uuid4

from domain.cards import operations as cards
from domain.identity.tokens import authority
from domain.identity.viewer import Viewer
from domain.ledger.queries import wallets
from domain.orders import paying
from domain.orders.policy import Policy
from domain.orders.ports import ThirdParties
from domain.payments import top_ups
from domain.payments.wallet import WALLET
from gateways.assembly import third_parties
from kernel import keys
from kernel.clock import utc_now
from kernel.settings import Settings
from kernel.states import FailureKind, OrderState, PaymentState
from models.cards import FuelCard
from models.orders import RechargeOrder
from models.payments import PaymentAttempt, WalletTopUp
from schema.types.relay import global_id
from tests.audits import assert_audits_find_nothing
from tests.factories import SCOPES, create_order, create_viewer
from tests.ledger.audit import assert_books_are_true
from tests.sandbox_fixtures import Sandbox

PEOPLE = 10
PRICE_FEN = 1_000
WALLET_FEN = 500_000
# Settings under which few people may have many orders.
ROOM: dict[str, int] = {
    "unpaid_orders_per_user_max": 10_000,
    "cards_per_user_max": 10_000,
    "payment_deadline_s": 3_600,
}

CREATE = """
mutation ($card: ID!, $key: String!) {
  answer: createRecharge(input: { cardId: $card, amount: "10.00", idempotencyKey: $key }) {
    __typename
    ... on CreateRechargeSuccess { order { id state } }
    ... on UserError { code message }
  }
}"""
PAY = """
mutation ($order: ID!, $key: String!, $method: PaymentMethod!) {
  answer: payRecharge(input: { orderId: $order, method: $method, idempotencyKey: $key }) {
    __typename
    ... on PayRechargeSuccess { order { id state } payment { package } }
    ... on UserError { code message }
  }
}"""
CANCEL = """
mutation ($order: ID!) {
  answer: cancelRecharge(input: { orderId: $order }) {
    __typename
    ... on CancelRechargeSuccess { order { id state failureKind } }
    ... on UserError { code message }
  }
}"""
TOP_UP = """
mutation ($key: String!) {
  answer: topUpWallet(input: { amount: "10.00", idempotencyKey: $key }) {
    __typename
    ... on TopUpWalletSuccess { topUp { id state } payment { package } }
    ... on UserError { code message }
  }
}"""
BIND = """
mutation ($number: String!) {
  answer: bindCard(input: { number: $number }) {
    __typename
    ... on BindCardSuccess { card { id } }
    ... on UserError { code message }
  }
}"""
QUERIES = (
    "{ viewer { profile { id } wallet { balance { fen } held { fen } topUps { edges { cursor } } } } }",
    "{ viewer { orders { edges { node { id state card { id } story { rule } } } } cards { edges { node { id } } } } }",
    "{ offers { edges { cursor } } stations { edges { cursor } } prices { edges { cursor } } }",
)


class Kind(StrEnum):
    CREATE = "createRecharge"
    PAY = "payRecharge"
    PAY_FROM_WALLET = "payRecharge from the wallet"
    CANCEL = "cancelRecharge"
    CANCEL_PAYING = "cancelRecharge while it is paid"
    TOP_UP = "topUpWallet"
    BIND = "bindCard"


DOCUMENTS = {
    Kind.CREATE: CREATE,
    Kind.PAY: PAY,
    Kind.PAY_FROM_WALLET: PAY,
    Kind.CANCEL: CANCEL,
    Kind.CANCEL_PAYING: CANCEL,
    Kind.TOP_UP: TOP_UP,
    Kind.BIND: BIND,
}


@dataclass(frozen=True)
class Wish:
    """One mutation of one person, which can be repeated as it is."""

    kind: Kind
    viewer: Viewer
    variables: dict[str, str]

    @property
    def payload(self) -> dict[str, Any]:
        return {"query": DOCUMENTS[self.kind], "variables": self.variables}


def token_of(settings: Settings, viewer: Viewer) -> str:
    scopes = SCOPES
    return authority(settings).issue(user_id=viewer.user_id, client_id="tests", scopes=scopes, now=utc_now())


class Neighbourhood:
    """People with cards, orders and money, each of whom wishes something. Use it while the database is open."""

    def __init__(self, settings: Settings, sandbox: Sandbox) -> None:
        self.settings, self.sandbox = settings, sandbox
        self.policy, self.sealer = Policy.of(settings), keys.sealer(settings)
        self.people: list[tuple[Viewer, FuelCard]] = []
        self._numbers = (f"1000111{number:012d}" for number in range(10**9))

    async def make(self, count: int) -> list[Wish]:
        """Return so many wishes, of which neighbours are of the same person and of different kinds."""
        async with third_parties(self.settings) as parties:
            for _ in range(PEOPLE):
                viewer = await create_viewer()
                self.people.append((viewer, await self._card(viewer)))
                await self._fill_wallet(viewer, parties)
            wishes = []
            kinds = list(Kind)
            for number in range(count):
                viewer, card = self.people[number // len(kinds) % PEOPLE]
                kind = kinds[number % len(kinds)]
                wishes.append(Wish(kind, viewer, await self._variables(kind, viewer, card, parties)))
        return wishes

    async def _variables(self, kind: Kind, viewer: Viewer, card: FuelCard, parties: ThirdParties) -> dict[str, str]:
        key = uuid4().hex
        if kind is Kind.BIND:
            return {"number": next(self._numbers)}
        if kind is Kind.TOP_UP:
            return {"key": key}
        if kind is Kind.CREATE:
            return {"card": str(global_id("Card", card.id)), "key": key}
        order = await create_order(viewer, card, yuan="10.00", limits=self.policy.limits)
        named = {"order": str(global_id("Order", order.id))}
        if kind is Kind.CANCEL_PAYING:
            await paying.start_payment(
                viewer=viewer,
                order_id=order.id,
                idempotency_key=key,
                channels=parties.channels,
                face=parties.face,
                policy=self.policy,
                now=utc_now(),
            )
        if kind in {Kind.CANCEL, Kind.CANCEL_PAYING}:
            return named
        return {**named, "key": key, "method": "WALLET" if kind is Kind.PAY_FROM_WALLET else "WECHAT_PAY"}

    async def _card(self, viewer: Viewer) -> FuelCard:
        return await cards.bind(
            viewer=viewer, number=next(self._numbers), sealer=self.sealer, cards_max=1, now=utc_now()
        )

    async def _fill_wallet(self, viewer: Viewer, parties: ThirdParties) -> None:
        started = await top_ups.start(
            viewer=viewer,
            yuan=Decimal(WALLET_FEN) / 100,
            idempotency_key=uuid4().hex,
            channels=parties.channels,
            limits=self.policy.limits,
            pay_within=self.policy.pay_within,
            query_after=self.policy.payment_query_after,
            now=utc_now(),
        )
        assert started.parameters is not None
        self.sandbox.pay(started.parameters.package)
        facts = await parties.channels.main.query(started.top_up.out_trade_no)
        await top_ups.confirm(facts=facts, channels=parties.channels, now=utc_now())


SUCCESSES = {
    Kind.CREATE: "CreateRechargeSuccess",
    Kind.PAY: "PayRechargeSuccess",
    Kind.PAY_FROM_WALLET: "PayRechargeSuccess",
    Kind.CANCEL: "CancelRechargeSuccess",
    Kind.CANCEL_PAYING: "CancelRechargeSuccess",
    Kind.TOP_UP: "TopUpWalletSuccess",
    Kind.BIND: "BindCardSuccess",
}


async def assert_each_happened_once(wishes: list[Wish], answers: list[Any]) -> None:
    """Check the answers to the wishes, each repeated, and that there is one of everything that was wished."""
    answers_of: dict[Kind, list[Any]] = defaultdict(list)
    for wish, answer in zip(wishes, answers, strict=True):
        assert answer["__typename"] == SUCCESSES[wish.kind], (wish.kind, answer)
        answers_of[wish.kind].append(answer)
    assert_answers_are_right(answers_of)
    count = Counter(wish.kind for wish in wishes)
    named = sum(count[kind] for kind in Kind) - count[Kind.TOP_UP] - count[Kind.BIND]
    assert await RechargeOrder.all().count() == named
    cancelled = RechargeOrder.filter(state=OrderState.FAILED, failure_kind=FailureKind.CANCELLED)
    assert await cancelled.count() == count[Kind.CANCEL] + count[Kind.CANCEL_PAYING]
    attempts = Counter([(each.channel, each.state) for each in await PaymentAttempt.all()])
    assert attempts == {
        ("wechat_pay", PaymentState.OPEN): count[Kind.PAY],
        ("wechat_pay", PaymentState.CLOSED): count[Kind.CANCEL_PAYING],
        (WALLET, PaymentState.PAID): count[Kind.PAY_FROM_WALLET],
    }
    top_ups_by_state = Counter(await WalletTopUp.all().values_list("state", flat=True))
    assert top_ups_by_state == {PaymentState.PAID: PEOPLE, PaymentState.OPEN: count[Kind.TOP_UP]}
    assert await FuelCard.all().count() == PEOPLE + count[Kind.BIND]
    people = sorted({wish.viewer.user_id for wish in wishes})
    spent = Counter(wish.viewer.user_id for wish in wishes if wish.kind is Kind.PAY_FROM_WALLET)
    for person, (balance, held) in zip(people, await wallets(people), strict=True):
        assert (balance.fen, held.fen) == (WALLET_FEN - spent[person] * PRICE_FEN, 0)
    await assert_books_are_true()
    await assert_audits_find_nothing()


def assert_answers_are_right(answers_of: dict[Kind, list[Any]]) -> None:
    for kind, things in ((Kind.CREATE, "order"), (Kind.TOP_UP, "topUp"), (Kind.BIND, "card")):
        ids = [answer[things]["id"] for answer in answers_of[kind]]
        assert len(set(ids)) == len(ids), f"two wishes of {kind} made one thing"
    assert {answer["order"]["state"] for answer in answers_of[Kind.CREATE]} == {"PENDING_PAYMENT"}
    packages = [answer["payment"]["package"] for kind in (Kind.PAY, Kind.TOP_UP) for answer in answers_of[kind]]
    assert len(set(packages)) == len(packages)
    assert {answer["payment"] for answer in answers_of[Kind.PAY_FROM_WALLET]} == {None}
    # Where a worker runs, it may have come further than that meanwhile.
    assert {answer["order"]["state"] for answer in answers_of[Kind.PAY_FROM_WALLET]} <= {"RECHARGING", "SUCCEEDED"}
    for kind in (Kind.CANCEL, Kind.CANCEL_PAYING):
        ends = {(answer["order"]["state"], answer["order"]["failureKind"]) for answer in answers_of[kind]}
        assert ends == {("FAILED", "CANCELLED")}
