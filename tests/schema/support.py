"""What the tests of money over GraphQL share: the mutations, refusals in both languages, and the work behind them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from domain.orders.policy import Policy
from domain.work.operations import Kind
from gateways.assembly import third_parties
from jobs.handlers import Handlers
from jobs.worker import Worker
from kernel import keys
from kernel.clock import utc_now
from kernel.errors import Locale
from models.events import Event
from models.jobs import Job
from models.ledger import LedgerTransaction
from models.orders import RechargeOrder
from models.payments import PaymentAttempt, WalletTopUp
from tests.audits import assert_audits_find_nothing
from tests.factories import SINOPEC_NUMBER
from tests.schema.conftest import Client

BIND = """
mutation ($number: String!) {
  answer: bindCard(input: { number: $number }) {
    __typename
    ... on BindCardSuccess { card { id } }
    ... on UserError { code message }
  }
}"""
ORDER = """
mutation ($card: ID!, $key: String!, $amount: Yuan, $offer: ID) {
  answer: createRecharge(input: { cardId: $card, amount: $amount, offerId: $offer, idempotencyKey: $key }) {
    __typename
    ... on CreateRechargeSuccess { order { id state amount { fen } price { fen } offer { id stockLeft } reviewState } }
    ... on UserError { code message }
    ... on InvalidAmount { minimum { fen } maximum { fen } }
  }
}"""
PAY = """
mutation (
  $order: ID!, $key: String!, $method: PaymentMethod! = WECHAT_PAY, $face: String, $code: String,
  $alternatives: [PaymentMethod!]! = []
) {
  answer: payRecharge(input: {
    orderId: $order, method: $method, faceToken: $face, idempotencyKey: $key, alipayAuthCode: $code,
    alternatives: $alternatives
  }) {
    __typename
    ... on PayRechargeSuccess { order { id state reviewState } payment { package } alipay { tradeNo } }
    ... on UserError { code message }
    ... on InsufficientBalance { balance { fen } missing { fen } }
    ... on FaceCheckError { retryable }
    ... on ChannelError { retryable }
  }
}"""
TOP_UP = """
mutation ($amount: Yuan!, $key: String!) {
  answer: topUpWallet(input: { amount: $amount, idempotencyKey: $key }) {
    __typename
    ... on TopUpWalletSuccess { topUp { id state amount { fen } } payment { package } }
    ... on UserError { code message }
    ... on InvalidAmount { minimum { fen } maximum { fen } }
    ... on ChannelError { retryable }
  }
}"""
WALLET = """
query ($first: Int! = 20, $after: String) {
  viewer {
    wallet {
      balance { fen }
      held { fen }
      topUps(first: $first, after: $after) {
        edges { node { id state amount { fen } } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}"""
NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"
LANGUAGES: tuple[Locale, ...] = ("zh-CN", "en")


async def ask(client: Client, mutation: str, **variables: Any) -> Any:
    """Return what the mutation that is called `answer` answers."""
    return (await client.ask(mutation, variables))["answer"]


async def bind_card(client: Client, number: str = SINOPEC_NUMBER) -> str:
    return str((await ask(client, BIND, number=number))["card"]["id"])


async def order(client: Client, card: str, *, key: str = "order-key-1", **wanted: Any) -> Any:
    """Return the order; one of ¥500 where neither an amount nor an offer is named."""
    answer = await ask(client, ORDER, card=card, key=key, **(wanted or {"amount": "500.00"}))
    assert answer["__typename"] == "CreateRechargeSuccess", answer
    return answer["order"]


async def refused(client: Client, mutation: str, **variables: Any) -> tuple[str, str]:
    """Return the type and the code of a refusal, whose message has to be whole in both languages."""
    answers = {}
    for language in LANGUAGES:
        asking = replace(client, headers={**client.headers, "Accept-Language": language})
        answers[language] = await ask(asking, mutation, **variables)
    assert_message_is_whole(answers["zh-CN"]["message"], answers["en"]["message"])
    assert answers["zh-CN"]["code"] == answers["en"]["code"]
    return answers["en"]["__typename"], answers["en"]["code"]


def assert_message_is_whole(chinese: str, english: str) -> None:
    """Nothing is left to be filled in, and each is in its own language."""
    for message in (chinese, english):
        assert message
        assert not set("{}") & set(message), message
        assert "None" not in message
        assert "Money(" not in message
    assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese), chinese
    assert english.replace("¥", "").isascii(), english


async def trace() -> list[int]:
    """Return how many rows there are of everything that a refusal must leave alone."""
    kinds = (RechargeOrder, PaymentAttempt, WalletTopUp, LedgerTransaction, Event, Job)
    return [await kind.all().count() for kind in kinds]


async def work(client: Client) -> None:
    """Do what is due now or later, but for deadlines, as the worker would."""
    async with third_parties(client.settings) as parties:
        handlers = Handlers(
            settings=client.settings,
            third_parties=parties,
            policy=Policy.of(client.settings),
            sealer=keys.sealer(client.settings),
        )
        worker = Worker(handlers.by_kind(), client.settings)
        await Job.filter(done_at__isnull=True, kind__not=Kind.EXPIRE_ORDER).update(due_at=utc_now())
        while await worker.run_due():
            await worker.settle()
    await assert_audits_find_nothing()
