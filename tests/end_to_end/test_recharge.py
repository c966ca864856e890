"""What a newcomer does: sign in, recharge, and see the notice; and what happens when the power fails meanwhile."""

from __future__ import annotations

import json
import re
import signal
import time
from typing import Any

import httpx

from domain.ledger.audit import REPLAYED_RULE
from models.database import connected
from models.ledger import LedgerAccount
from tests.house_process import RunningHouse
from tests.sandbox_fixtures import Sandbox
from tests.services import run

BIND = 'mutation { bindCard(input: { number: "9012345678901234" }) { ... on BindCardSuccess { card { id } } } }'
CREATE = """
mutation ($card: ID!, $key: String!, $amount: Yuan!) {
  createRecharge(input: { cardId: $card, amount: $amount, idempotencyKey: $key }) {
    __typename
    ... on CreateRechargeSuccess { order { id state } }
    ... on UserError { code message }
  }
}"""
PAY = """
mutation ($order: ID!, $key: String!) {
  payRecharge(input: { orderId: $order, idempotencyKey: $key }) {
    __typename
    ... on PayRechargeSuccess { payment { package } }
    ... on UserError { code message }
  }
}"""
ORDER = "query ($id: ID!) { order(id: $id) { state refundState failureKind } }"
SETTLED_WITHIN_S = 90


def create(house: RunningHouse, token: str, *, amount: Any = "300.00", key: str = "order-key-1") -> Any:
    _, bound = house.ask(BIND, token=token)
    card = bound["data"]["bindCard"]["card"]["id"]
    status, body = house.ask(CREATE, {"card": card, "key": key, "amount": amount}, token=token)
    assert status == 200, body
    return body


def wait_for(house: RunningHouse, token: str, order_id: str, **expected: str) -> None:
    deadline = time.monotonic() + SETTLED_WITHIN_S
    while True:
        _, body = house.ask(ORDER, {"id": order_id}, token=token)
        order = body["data"]["order"]
        if expected.items() <= order.items():
            return
        assert time.monotonic() < deadline, (order, house.server.tail(), house.worker.tail())
        time.sleep(0.05)


def test_the_demo_sees_its_notice(house: RunningHouse) -> None:
    done = house.client("clients.demo")
    assert done.returncode == 0, done.stdout + done.stderr + house.server.tail()
    assert "order is RECHARGING" in done.stdout or "order is SUCCEEDED" in done.stdout
    found = re.search(r"latency from arrival to notice: (\d+) ms", done.stdout)
    assert found, done.stdout
    assert done.stdout.count(" m  ") == 3
    audit = house.client("jobs", "audit-ledger")
    assert audit.returncode == 0, audit.stdout
    assert "BROKEN" not in audit.stdout
    assert audit.stdout.count("holds") > 20


def test_the_audit_names_what_was_changed_by_hand(house: RunningHouse) -> None:
    assert house.client("clients.demo").returncode == 0
    run(_cook(house.environment["DATABASE_URL"]))
    audit = house.client("jobs", "audit-ledger")
    assert audit.returncode == 1
    assert f"BROKEN  {REPLAYED_RULE}" in audit.stdout
    assert f"commission_income: {REPLAYED_RULE}: shard" in audit.stdout
    assert "balance_fen 1," in audit.stdout


async def _cook(url: str) -> None:
    async with connected(url):
        await LedgerAccount.filter(code="commission_income").update(balance_fen=1)


def test_the_demo_fails_without_a_server(house: RunningHouse) -> None:
    house.server.kill()
    done = house.client("clients.demo")
    assert done.returncode == 1
    assert "make run" in done.stderr


def test_a_power_cut_between_payment_and_arrival_loses_nothing(house: RunningHouse, sandbox: Sandbox) -> None:
    token = house.token()
    order = create(house, token)["data"]["createRecharge"]["order"]
    sandbox.faults(issuer_delay_ms=1_500)
    _, paid = house.ask(PAY, {"order": order["id"], "key": "pay-key-1"}, token=token)
    sandbox.pay(paid["data"]["payRecharge"]["payment"]["package"])
    time.sleep(0.3)
    two_processes = not house.worker.ended
    house.server.kill()
    if two_processes:
        house.worker.kill()
    time.sleep(0.5)
    house.start(worker=two_processes)
    wait_for(house, token, order["id"], state="SUCCEEDED")


def test_a_refusal_is_refunded(house: RunningHouse, sandbox: Sandbox) -> None:
    token = house.token()
    order = create(house, token)["data"]["createRecharge"]["order"]
    sandbox.faults(issuer="refuse")
    _, paid = house.ask(PAY, {"order": order["id"], "key": "pay-key-1"}, token=token)
    sandbox.pay(paid["data"]["payRecharge"]["payment"]["package"])
    wait_for(house, token, order["id"], state="FAILED", refundState="SUCCESS", failureKind="ISSUER_REFUSED")


def test_it_stops_cleanly_and_logs_no_secret(house: RunningHouse) -> None:
    token = house.token()
    create(house, token)
    two_processes = not house.worker.ended
    # The server ends by the signal that it was sent, once it has shut down.
    assert house.server.stop() == -signal.SIGTERM
    if two_processes:
        assert house.worker.stop() == 0
    written = house.server.tail()
    assert "Application shutdown complete" in written
    assert "Traceback" not in written
    assert token not in written
    assert "9012345678901234" not in written
    assert "server.started" in written


def test_a_token_is_for_this_service_only(house: RunningHouse) -> None:
    keys = httpx.get(f"{house.url}/oauth/jwks.json", trust_env=False).json()
    assert [key["kty"] for key in keys["keys"]] == ["EC"]
    for answer in (
        httpx.post(f"{house.url}/oauth/token", data={"grant_type": "password"}, trust_env=False),
        httpx.post(f"{house.url}/oauth/token", content=json.dumps({"code": "x"}), trust_env=False),
        httpx.post(
            f"{house.url}/oauth/token",
            data={"grant_type": "urn:youka:oauth:grant-type:mini-program", "code": "never-given"},
            trust_env=False,
        ),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"] in {"invalid_request", "unsupported_grant_type", "invalid_grant"}
