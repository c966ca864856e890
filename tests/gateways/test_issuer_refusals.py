"""Answers and callbacks of the issuer that are forged, altered, stale or not understood."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from domain.cards.ports import CardIssuer, IssuerNoticeRefused, IssuerOrderState, IssuerUnavailable
from domain.orders.ports import ThirdParties
from kernel.ids import new_id
from kernel.settings import Settings
from tests.gateways.stand_ins import (
    Altering,
    Delivery,
    Listener,
    Signer,
    create_recharge,
    issuer_on,
    now,
    recharge_document,
)
from tests.sandbox_fixtures import Sandbox

ATTEMPT_ID = new_id()


@pytest.fixture
def issuer(parties: ThirdParties) -> CardIssuer:
    return parties.issuer


@pytest.fixture
async def delivery(issuer: CardIssuer, sandbox: Sandbox, listener: Listener) -> Delivery:
    """A real callback about a recharge."""
    sandbox.faults(issuer_delay_ms=0)
    await issuer.submit(create_recharge())
    return await listener.one()


def answering(issuing: Signer, status: int, document: Any) -> httpx.MockTransport:
    """The issuer, saying exactly this with a good signature."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()

    def handler(request: httpx.Request) -> httpx.Response:
        headers = issuing.issuer_headers(body, nonce=request.headers["Issuer-Nonce"])
        return httpx.Response(status, headers=headers, content=body)

    return httpx.MockTransport(handler)


class TestAnswers:
    @pytest.mark.parametrize(
        "alter",
        [
            lambda _headers, body: body.replace(b"PROCESSING", b"SUCCEEDED "),
            lambda _headers, body: body + b"\n",
            lambda headers, body: headers.pop("Issuer-Signature") and body,
            lambda headers, body: headers.update({"Issuer-Nonce": "another"}) or body,
            lambda headers, body: headers.update({"Issuer-Timestamp": "1"}) or body,
        ],
    )
    async def test_an_altered_answer_settles_nothing(
        self, settings: Settings, sandbox: Sandbox, alter: Callable[[httpx.Headers, bytes], bytes]
    ) -> None:
        request = create_recharge()
        async with issuer_on(settings, Altering(alter)) as issuer:
            with pytest.raises(IssuerUnavailable):
                await issuer.submit(request)
        assert sandbox.recharge(request.attempt_id) is not None

    async def test_an_answer_to_an_earlier_question(self, settings: Settings, issuing: Signer) -> None:
        """Well signed and fresh, but recorded: a "not found" from before must not undo what was accepted since."""
        body = json.dumps({"code": "RECHARGE_NOT_FOUND"}).encode()
        recorded = issuing.issuer_headers(body)
        transport = httpx.MockTransport(lambda _: httpx.Response(404, headers=recorded, content=body))
        async with issuer_on(settings, transport) as issuer:
            with pytest.raises(IssuerUnavailable, match="another question"):
                await issuer.query(ATTEMPT_ID)

    @pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 429, 500, 503])
    async def test_only_a_state_refuses(self, settings: Settings, issuing: Signer, status: int) -> None:
        document = {"code": "REFUSED", "state": "REFUSED", "message": "拒绝"}
        async with issuer_on(settings, answering(issuing, status, document)) as issuer:
            with pytest.raises(IssuerUnavailable):
                await issuer.submit(create_recharge(attempt_id=ATTEMPT_ID))
            with pytest.raises(IssuerUnavailable):
                await issuer.query(ATTEMPT_ID)

    async def test_not_found_is_an_answer_to_a_query_only(self, settings: Settings, issuing: Signer) -> None:
        async with issuer_on(settings, answering(issuing, 404, {"code": "RECHARGE_NOT_FOUND"})) as issuer:
            assert (await issuer.query(ATTEMPT_ID)).state is IssuerOrderState.NOT_FOUND
            with pytest.raises(IssuerUnavailable):
                await issuer.submit(create_recharge(attempt_id=ATTEMPT_ID))

    async def test_not_found_must_be_signed(self, settings: Settings, sandbox: Sandbox) -> None:
        del sandbox
        transport = httpx.MockTransport(lambda _: httpx.Response(404, json={"code": "RECHARGE_NOT_FOUND"}))
        async with issuer_on(settings, transport) as issuer:
            with pytest.raises(IssuerUnavailable, match="unsigned"):
                await issuer.query(ATTEMPT_ID)

    @pytest.mark.parametrize(
        "changes",
        [
            {"state": "DONE"},
            {"state": None},
            {"amount_fen": 500.0},
            {"amount_fen": "50000"},
            {"cost_fen": None},
            {"cost_fen": 497.5},
            {"cost_fen": -1},
            {"attempt_id": str(new_id())},
            {"attempt_id": "no id"},
            {"issuer_order_id": ""},
            {"reason": 5},
        ],
    )
    async def test_a_recharge_that_is_not_understood_settles_nothing(
        self, settings: Settings, issuing: Signer, changes: dict[str, Any]
    ) -> None:
        good = recharge_document(ATTEMPT_ID)
        async with issuer_on(settings, answering(issuing, 200, good)) as issuer:
            assert (await issuer.query(ATTEMPT_ID)).cost_fen == 49_750
        async with issuer_on(settings, answering(issuing, 200, {**good, **changes})) as issuer:
            with pytest.raises(IssuerUnavailable):
                await issuer.query(ATTEMPT_ID)


class TestCallbacks:
    async def test_a_changed_byte_anywhere(self, issuer: CardIssuer, delivery: Delivery) -> None:
        for position in range(0, len(delivery.body), 7):
            altered = bytearray(delivery.body)
            altered[position] ^= 1
            with pytest.raises(IssuerNoticeRefused, match="signature"):
                issuer.open_notice(headers=delivery.headers, body=bytes(altered), now=now())

    @pytest.mark.parametrize("name", ["timestamp", "nonce", "signature"])
    async def test_a_header_that_is_missing_or_another(self, issuer: CardIssuer, delivery: Delivery, name: str) -> None:
        without = {key: value for key, value in delivery.headers.items() if key != f"issuer-{name}"}
        with pytest.raises(IssuerNoticeRefused, match="unsigned"):
            issuer.open_notice(headers=without, body=delivery.body, now=now())
        with pytest.raises(IssuerNoticeRefused):
            issuer.open_notice(headers={**without, f"issuer-{name}": "1"}, body=delivery.body, now=now())

    @pytest.mark.parametrize("shift_s", [-310, 310])
    async def test_stale_or_from_the_future(self, issuer: CardIssuer, delivery: Delivery, shift_s: int) -> None:
        later = now() + timedelta(seconds=shift_s)
        with pytest.raises(IssuerNoticeRefused, match="old"):
            issuer.open_notice(headers=delivery.headers, body=delivery.body, now=later)

    async def test_the_headers_of_one_notice_on_another(
        self, issuer: CardIssuer, listener: Listener, delivery: Delivery
    ) -> None:
        await issuer.submit(create_recharge())
        other = (await listener.wait_for(2))[1]
        with pytest.raises(IssuerNoticeRefused, match="signature"):
            issuer.open_notice(headers=delivery.headers, body=other.body, now=now())

    async def test_a_forger(self, issuer: CardIssuer, issuing: Signer) -> None:
        forger = Signer(generate_private_key(65537, 2048), issuing.secret, "")
        body = forger.issuer_notice("RECHARGE.SUCCEEDED", recharge_document(ATTEMPT_ID))
        with pytest.raises(IssuerNoticeRefused, match="signature"):
            issuer.open_notice(headers=forger.issuer_headers(body), body=body, now=now())

    async def test_sealed_with_another_key(self, issuer: CardIssuer, issuing: Signer) -> None:
        other = Signer(issuing.key, b"0" * 32, "")
        body = other.issuer_notice("RECHARGE.SUCCEEDED", recharge_document(ATTEMPT_ID))
        with pytest.raises(IssuerNoticeRefused, match="does not open"):
            issuer.open_notice(headers=other.issuer_headers(body), body=body, now=now())

    async def test_an_answer_is_no_callback(self, issuer: CardIssuer, issuing: Signer) -> None:
        """Answers are signed by the same key over the same lines; their bodies are not sealed and say no event."""
        body = json.dumps(recharge_document(ATTEMPT_ID)).encode()
        with pytest.raises(IssuerNoticeRefused):
            issuer.open_notice(headers=issuing.issuer_headers(body), body=body, now=now())

    @pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"id":"IN-1"}'])
    async def test_signed_nonsense(self, issuer: CardIssuer, issuing: Signer, body: bytes) -> None:
        with pytest.raises(IssuerNoticeRefused):
            issuer.open_notice(headers=issuing.issuer_headers(body), body=body, now=now())

    @pytest.mark.parametrize(
        "change",
        [
            lambda notice: notice.update(id="I" * 65),
            lambda notice: notice.update(resource=[]),
            lambda notice: notice["resource"].update(algorithm="NONE"),
            lambda notice: notice["resource"].update(associated_data="other"),
            lambda notice: notice["resource"].update(nonce="not base 64!"),
            lambda notice: notice["resource"].update(nonce="QUFB"),
            lambda notice: notice["resource"].update(ciphertext="QUFB"),
        ],
    )
    async def test_a_signed_envelope_that_is_wrong(
        self, issuer: CardIssuer, issuing: Signer, change: Callable[[dict[str, Any]], object]
    ) -> None:
        notice = json.loads(issuing.issuer_notice("RECHARGE.SUCCEEDED", recharge_document(ATTEMPT_ID)))
        change(notice)
        body = json.dumps(notice).encode()
        with pytest.raises(IssuerNoticeRefused):
            issuer.open_notice(headers=issuing.issuer_headers(body), body=body, now=now())

    @pytest.mark.parametrize(
        ("event", "changes"),
        [
            ("RECHARGE.REFUSED", {}),
            ("RECHARGE.SUCCEEDED", {"state": "REFUSED"}),
            ("RECHARGE.SUCCEEDED", {"state": "PROCESSING"}),
            ("RECHARGE.PROCESSING", {"state": "PROCESSING"}),
            ("RECHARGE.SUCCEEDED", {"partner_id": "somebody"}),
            ("RECHARGE.SUCCEEDED", {"amount_fen": 500.0}),
            ("RECHARGE.SUCCEEDED", {"amount_fen": True}),
            ("RECHARGE.SUCCEEDED", {"cost_fen": "49750"}),
            ("RECHARGE.SUCCEEDED", {"attempt_id": "1"}),
        ],
    )
    async def test_a_notice_that_contradicts_itself(
        self, issuer: CardIssuer, issuing: Signer, event: str, changes: dict[str, Any]
    ) -> None:
        good = issuing.issuer_notice("RECHARGE.SUCCEEDED", recharge_document(ATTEMPT_ID))
        opened = issuer.open_notice(headers=issuing.issuer_headers(good), body=good, now=now())
        assert (opened.notice_id, opened.recharge.attempt_id) == ("IN-1", ATTEMPT_ID)
        body = issuing.issuer_notice(event, {**recharge_document(ATTEMPT_ID), **changes})
        with pytest.raises(IssuerNoticeRefused):
            issuer.open_notice(headers=issuing.issuer_headers(body), body=body, now=now())
