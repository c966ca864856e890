"""The issuer port on the sandbox, over real HTTP with real signatures."""

from __future__ import annotations

import json
from base64 import b64decode

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from structlog.testing import capture_logs

from domain.cards.ports import CardIssuer, IssuerOrderState, IssuerUnavailable, RechargeFacts
from domain.orders.ports import ThirdParties
from kernel.ids import new_id
from kernel.settings import Settings
from kernel.states import CardBrand
from tests.gateways.stand_ins import (
    AMOUNT_FEN,
    CARD_NUMBER,
    TLS,
    Listener,
    create_recharge,
    issuer_on,
    now,
    read_private_key,
)
from tests.sandbox_fixtures import Sandbox

COST_FEN = 49_750


@pytest.fixture
def issuer(parties: ThirdParties) -> CardIssuer:
    return parties.issuer


class TestRecharge:
    async def test_it_is_accepted_and_then_succeeds(self, issuer: CardIssuer, sandbox: Sandbox) -> None:
        request = create_recharge()
        accepted = await issuer.submit(request)
        assert (accepted.attempt_id, accepted.state) == (request.attempt_id, IssuerOrderState.PROCESSING)
        assert (accepted.amount_fen, accepted.cost_fen) == (AMOUNT_FEN, None)
        await sandbox.wait_until(lambda: sandbox.recharge(request.attempt_id)["state"] == "SUCCEEDED")
        assert await issuer.query(request.attempt_id) == RechargeFacts(
            attempt_id=request.attempt_id,
            state=IssuerOrderState.SUCCEEDED,
            issuer_order_id=accepted.issuer_order_id,
            amount_fen=AMOUNT_FEN,
            cost_fen=COST_FEN,
            reason="",
        )

    async def test_the_same_attempt_recharges_once(self, issuer: CardIssuer, sandbox: Sandbox) -> None:
        request = create_recharge()
        first, second = await issuer.submit(request), await issuer.submit(request)
        assert first.issuer_order_id == second.issuer_order_id
        mine = [each for each in sandbox.state()["recharges"] if each["attempt_id"] == str(request.attempt_id)]
        assert len(mine) == 1

    @pytest.mark.parametrize("change", [{"amount_fen": AMOUNT_FEN + 1}, {"card_number": "1000119999999999999"}])
    async def test_an_attempt_is_not_changed(
        self, issuer: CardIssuer, sandbox: Sandbox, change: dict[str, object]
    ) -> None:
        request = create_recharge()
        await issuer.submit(request)
        with pytest.raises(IssuerUnavailable, match="ATTEMPT_ID_REUSED"):
            await issuer.submit(create_recharge(attempt_id=request.attempt_id, **change))
        assert sandbox.recharge(request.attempt_id)["amount_fen"] == AMOUNT_FEN

    async def test_both_brands(self, issuer: CardIssuer, sandbox: Sandbox) -> None:
        request = create_recharge(brand=CardBrand.PETROCHINA, card_number="9123456789012345")
        await issuer.submit(request)
        assert sandbox.recharge(request.attempt_id)["card_tail"] == "2345"

    async def test_unknown(self, issuer: CardIssuer) -> None:
        attempt_id = new_id()
        facts = await issuer.query(attempt_id)
        assert (facts.attempt_id, facts.state, facts.issuer_order_id) == (attempt_id, IssuerOrderState.NOT_FOUND, None)


class TestCallback:
    @pytest.mark.parametrize(
        ("fault", "state", "cost_fen"),
        [("ok", IssuerOrderState.SUCCEEDED, COST_FEN), ("refuse", IssuerOrderState.REFUSED, None)],
    )
    async def test_the_outcome(
        self,
        issuer: CardIssuer,
        sandbox: Sandbox,
        listener: Listener,
        fault: str,
        state: IssuerOrderState,
        cost_fen: int | None,
    ) -> None:
        sandbox.faults(issuer=fault)
        request = create_recharge()
        await issuer.submit(request)
        delivery = await listener.one()
        assert delivery.path == "/callbacks/issuer"
        assert str(request.attempt_id).encode() not in delivery.body
        notice = issuer.open_notice(headers=delivery.headers, body=delivery.body, now=now())
        assert notice.recharge == await issuer.query(request.attempt_id)
        assert (notice.recharge.state, notice.recharge.cost_fen) == (state, cost_fen)
        assert 0 < len(notice.notice_id) <= 64

    async def test_every_delivery_of_one_notice_has_one_id(
        self, issuer: CardIssuer, sandbox: Sandbox, listener: Listener
    ) -> None:
        request = create_recharge()
        await issuer.submit(request)
        first = await listener.one()
        assert sandbox.control("repeat-callbacks", subject=str(request.attempt_id)) == {"repeated": 1}
        second = (await listener.wait_for(2))[1]
        assert first.headers["issuer-nonce"] != second.headers["issuer-nonce"]
        opened = [
            issuer.open_notice(headers=each.headers, body=each.body, now=now()) for each in (first, second, first)
        ]
        assert opened[0] == opened[1] == opened[2]

    async def test_silence_leaves_it_to_the_query(
        self, issuer: CardIssuer, sandbox: Sandbox, listener: Listener
    ) -> None:
        sandbox.faults(issuer="silent")
        request = create_recharge()
        await issuer.submit(request)
        await sandbox.wait_until(lambda: sandbox.recharge(request.attempt_id)["state"] == "SUCCEEDED")
        assert (await issuer.query(request.attempt_id)).state is IssuerOrderState.SUCCEEDED
        assert sandbox.callbacks(request.attempt_id) == []
        assert listener.deliveries == []


class TestRefused:
    async def test_at_once(self, issuer: CardIssuer, sandbox: Sandbox) -> None:
        sandbox.faults(issuer="refuse_at_once")
        facts = await issuer.submit(create_recharge())
        assert (facts.state, facts.cost_fen) == (IssuerOrderState.REFUSED, None)
        assert facts.reason == "卡状态异常，不能充值"

    async def test_later(self, issuer: CardIssuer, sandbox: Sandbox) -> None:
        sandbox.faults(issuer="refuse", issuer_delay_ms=0)
        request = create_recharge()
        assert (await issuer.submit(request)).state is IssuerOrderState.PROCESSING
        await sandbox.wait_until(lambda: sandbox.recharge(request.attempt_id)["state"] == "REFUSED")
        assert (await issuer.query(request.attempt_id)).state is IssuerOrderState.REFUSED


class TestUnknown:
    async def test_accepted_and_no_answer(
        self, issuer: CardIssuer, hasty_parties: ThirdParties, sandbox: Sandbox
    ) -> None:
        sandbox.faults(issuer="accept_then_timeout", times=1)
        request = create_recharge()
        with pytest.raises(IssuerUnavailable, match="submit"):
            await hasty_parties.issuer.submit(request)
        await sandbox.wait_until(lambda: sandbox.recharge(request.attempt_id)["state"] == "SUCCEEDED")
        assert (await issuer.query(request.attempt_id)).state is IssuerOrderState.SUCCEEDED

    async def test_an_error_before_it_was_accepted(self, issuer: CardIssuer, sandbox: Sandbox) -> None:
        sandbox.faults(issuer="error_500")
        request = create_recharge()
        with pytest.raises(IssuerUnavailable, match="status 500"):
            await issuer.submit(request)
        sandbox.clear_faults()
        assert (await issuer.query(request.attempt_id)).state is IssuerOrderState.NOT_FOUND
        assert (await issuer.submit(request)).state is IssuerOrderState.PROCESSING

    async def test_stuck_until_somebody_settles_it(self, issuer: CardIssuer, sandbox: Sandbox) -> None:
        sandbox.faults(issuer="stuck", issuer_delay_ms=0)
        request = create_recharge()
        await issuer.submit(request)
        assert (await issuer.query(request.attempt_id)).state is IssuerOrderState.PROCESSING
        sandbox.control("settle", attempt_id=str(request.attempt_id), state="SUCCEEDED")
        assert (await issuer.query(request.attempt_id)).state is IssuerOrderState.SUCCEEDED

    async def test_a_bad_card_number_is_not_settled_by_a_400(self, issuer: CardIssuer, sandbox: Sandbox) -> None:
        request = create_recharge(card_number="1234")
        with pytest.raises(IssuerUnavailable, match="CARD_NUMBER_INVALID"):
            await issuer.submit(request)
        assert sandbox.recharge(request.attempt_id) is None

    @pytest.mark.parametrize("change", [{"issuer_partner_id": "stranger"}, {"issuer_secret": "0" * 32}])
    async def test_our_own_mistakes_settle_nothing(self, settings: Settings, change: dict[str, object]) -> None:
        wrong = Settings(**{**settings.model_dump(), **change})
        async with issuer_on(wrong, httpx.AsyncHTTPTransport(verify=TLS)) as issuer:
            with pytest.raises(IssuerUnavailable):
                await issuer.submit(create_recharge())


async def test_the_request_on_the_wire(settings: Settings, sandbox: Sandbox) -> None:
    """docs/issuer-protocol.md, line by line: signed with the partner's key, the card number sealed and nowhere else."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(401, json={"code": "SIGN_ERROR"})

    request = create_recharge()
    with capture_logs() as logs:
        async with issuer_on(settings, httpx.MockTransport(handler)) as issuer:
            with pytest.raises(IssuerUnavailable, match="unsigned"):
                await issuer.submit(request)
    sent = seen[0]
    headers = sent.headers
    assert headers["Issuer-Partner"] == "youka"
    lines = [b"POST", b"/issuer/v1/recharges", headers["Issuer-Timestamp"].encode(), headers["Issuer-Nonce"].encode()]
    message = b"\n".join([*lines, sent.content]) + b"\n"
    key = read_private_key(sandbox.keys / "issuer_private_key.pem").public_key()
    key.verify(b64decode(headers["Issuer-Signature"]), message, PKCS1v15(), SHA256())

    body = json.loads(sent.content)
    sealed = body.pop("card_number")
    assert body == {
        "attempt_id": str(request.attempt_id),
        "brand": "SINOPEC",
        "amount_fen": AMOUNT_FEN,
        "notify_url": f"{settings.base_url}/callbacks/issuer",
    }
    secret = (sandbox.keys / "issuer_secret").read_bytes()
    nonce, ciphertext = b64decode(sealed["nonce"]), b64decode(sealed["ciphertext"])
    assert len(nonce) == 12
    assert AESGCM(secret).decrypt(nonce, ciphertext, str(request.attempt_id).encode()) == CARD_NUMBER.encode()
    assert CARD_NUMBER.encode() not in sent.content
    assert CARD_NUMBER not in str(logs)


async def test_a_card_number_is_sealed_anew_each_time(settings: Settings, sandbox: Sandbox) -> None:
    del sandbox
    bodies: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(401)

    request = create_recharge()
    async with issuer_on(settings, httpx.MockTransport(handler)) as issuer:
        for _ in range(2):
            with pytest.raises(IssuerUnavailable):
                await issuer.submit(request)
    first, second = (json.loads(body)["card_number"] for body in bodies)
    assert first["nonce"] != second["nonce"]
    assert first["ciphertext"] != second["ciphertext"]
