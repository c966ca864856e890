"""The sandbox believes nobody: what is not signed as its documentation says is not done."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sandbox.crypto import random_text
from tests.sandbox_fixtures import Sandbox

PREPAY = "/v3/pay/partner/transactions/jsapi"
RECHARGES = "/issuer/v1/recharges"


@lru_cache
def private_key(path: Path) -> RSAPrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, RSAPrivateKey)
    return key


@lru_cache
def forgers_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def sign(key: RSAPrivateKey, *lines: str) -> str:
    message = "".join(f"{line}\n" for line in lines).encode()
    return b64encode(key.sign(message, PKCS1v15(), SHA256())).decode()


def prepay_body(**changes: Any) -> bytes:
    values: dict[str, Any] = {
        "sp_appid": "wx8f3a0c5e7d9b1240",
        "sp_mchid": "1900000109",
        "sub_mchid": "1900000209",
        "description": "充值",
        "out_trade_no": random_text(28),
        "time_expire": "2099-01-01T00:00:00+08:00",
        "notify_url": "http://127.0.0.1:1/callbacks",
        "amount": {"total": 100, "currency": "CNY"},
        "payer": {"sp_openid": "o1"},
    }
    return json.dumps({**values, **changes}).encode()


def pay(
    sandbox: Sandbox,
    method: str,
    target: str,
    body: bytes = b"",
    *,
    signed_body: bytes | None = None,
    signed_target: str | None = None,
    key: RSAPrivateKey | None = None,
    mchid: str = "1900000109",
    serial: str | None = None,
    age_s: int = 0,
    scheme: str = "WECHATPAY2-SHA256-RSA2048",
) -> httpx.Response:
    timestamp, nonce = str(int(time.time()) - age_s), random_text(32)
    key = key or private_key(sandbox.keys / "wechat_pay_private_key.pem")
    covered = body if signed_body is None else signed_body
    signature = sign(key, method, signed_target or target, timestamp, nonce, covered.decode())
    serial = serial or (sandbox.keys / "wechat_pay_certificate_serial").read_text()
    authorization = (
        f'{scheme} mchid="{mchid}",nonce_str="{nonce}",signature="{signature}",'
        f'timestamp="{timestamp}",serial_no="{serial}"'
    )
    return sandbox.client.request(method, target, content=body, headers={"Authorization": authorization})


class TestWeChatPaySignatures:
    def test_a_good_one(self, sandbox: Sandbox) -> None:
        answer = pay(sandbox, "POST", PREPAY, prepay_body())
        assert answer.status_code == 200
        assert answer.headers["Wechatpay-Signature"]

    @pytest.mark.parametrize(
        "change",
        [
            {"signed_body": prepay_body(amount={"total": 1, "currency": "CNY"})},
            {"signed_body": b""},
            {"signed_target": PREPAY + "?"},
            {"key": forgers_key()},
            {"mchid": "1900000110"},
            {"serial": "ABCDEF"},
            {"age_s": 400},
            {"age_s": -400},
            {"scheme": "WECHATPAY2-SHA256-RSA1024"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_any_other(self, sandbox: Sandbox, change: dict[str, Any]) -> None:
        number = random_text(28)
        answer = pay(sandbox, "POST", PREPAY, prepay_body(out_trade_no=number), **change)
        assert (answer.status_code, answer.json()["code"]) == (401, "SIGN_ERROR")
        assert "Wechatpay-Signature" not in answer.headers
        assert sandbox.payment(number) is None

    @pytest.mark.parametrize("authorization", ["", "Bearer x", "WECHATPAY2-SHA256-RSA2048 mchid=1", "签名"])
    def test_none_at_all(self, sandbox: Sandbox, authorization: str) -> None:
        headers = [(b"Authorization", authorization.encode())]
        answer = sandbox.client.post(PREPAY, content=prepay_body(), headers=headers)
        assert answer.status_code == 401

    def test_the_query_is_covered(self, sandbox: Sandbox) -> None:
        path = "/v3/pay/partner/transactions/out-trade-no/no-such-order"
        query = "?sp_mchid=1900000109&sub_mchid=1900000209"
        answer = pay(sandbox, "GET", path + query)
        assert (answer.status_code, answer.json()["code"]) == (404, "ORDER_NOT_EXIST")
        assert pay(sandbox, "GET", path + query, signed_target=path).status_code == 401


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"sp_appid": "wx1"}, 400, "APPID_MCHID_NOT_MATCH"),
        ({"sp_mchid": "1"}, 400, "PARAM_ERROR"),
        ({"sub_mchid": "1"}, 403, "NO_AUTH"),
        ({"description": ""}, 400, "PARAM_ERROR"),
        ({"description": "x" * 128}, 400, "PARAM_ERROR"),
        ({"out_trade_no": "12345"}, 400, "PARAM_ERROR"),
        ({"out_trade_no": "x" * 33}, 400, "PARAM_ERROR"),
        ({"time_expire": "2099-01-01 00:00:00"}, 400, "PARAM_ERROR"),
        ({"time_expire": "2099-13-01T00:00:00+08:00"}, 400, "PARAM_ERROR"),
        ({"notify_url": "/callbacks"}, 400, "PARAM_ERROR"),
        ({"notify_url": "http://127.0.0.1/callbacks?x=1"}, 400, "PARAM_ERROR"),
        ({"amount": {"total": 0, "currency": "CNY"}}, 400, "PARAM_ERROR"),
        ({"amount": {"total": 1.5, "currency": "CNY"}}, 400, "PARAM_ERROR"),
        ({"amount": {"total": True, "currency": "CNY"}}, 400, "PARAM_ERROR"),
        ({"amount": {"total": 1, "currency": "USD"}}, 400, "PARAM_ERROR"),
        ({"amount": None}, 400, "PARAM_ERROR"),
        ({"payer": {}}, 400, "PARAM_ERROR"),
    ],
)
def test_a_prepay_is_checked_field_by_field(sandbox: Sandbox, change: dict[str, Any], status: int, code: str) -> None:
    answer = pay(sandbox, "POST", PREPAY, prepay_body(**change))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Wechatpay-Signature"]


@pytest.mark.parametrize("body", [b"", b"null", b"[1]", b"{"])
def test_a_prepay_that_is_no_object(sandbox: Sandbox, body: bytes) -> None:
    assert pay(sandbox, "POST", PREPAY, body).json()["code"] == "PARAM_ERROR"


def issue(
    sandbox: Sandbox,
    body: bytes,
    *,
    key: RSAPrivateKey | None = None,
    partner: str = "youka",
    age_s: int = 0,
    nonce: str | None = None,
    signed_body: bytes | None = None,
) -> httpx.Response:
    timestamp, nonce = str(int(time.time()) - age_s), nonce or random_text(32)
    key = key or private_key(sandbox.keys / "issuer_private_key.pem")
    covered = body if signed_body is None else signed_body
    headers = {
        "Issuer-Partner": partner,
        "Issuer-Timestamp": timestamp,
        "Issuer-Nonce": nonce,
        "Issuer-Signature": sign(key, "POST", RECHARGES, timestamp, nonce, covered.decode()),
    }
    return sandbox.client.post(RECHARGES, content=body, headers=headers)


class TestIssuerSignatures:
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"key": forgers_key()}, "SIGN_ERROR"),
            ({"signed_body": b'{"amount_fen":1}'}, "SIGN_ERROR"),
            ({"partner": "somebody"}, "PARTNER_UNKNOWN"),
            ({"age_s": 400}, "TIMESTAMP_EXPIRED"),
            ({"age_s": -400}, "TIMESTAMP_EXPIRED"),
            ({"nonce": "short"}, "SIGN_ERROR"),
        ],
    )
    def test_what_is_not_ours_is_not_answered_with_a_signature(
        self, sandbox: Sandbox, change: dict[str, Any], code: str
    ) -> None:
        answer = issue(sandbox, b"{}", **change)
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert "Issuer-Signature" not in answer.headers

    def test_a_nonce_is_used_once(self, sandbox: Sandbox) -> None:
        nonce = random_text(32)
        first, second = issue(sandbox, b"{}", nonce=nonce), issue(sandbox, b"{}", nonce=nonce)
        assert (first.status_code, first.json()["code"]) == (400, "PARAM_ERROR")
        assert first.headers["Issuer-Nonce"] == nonce
        assert (second.status_code, second.json()["code"]) == (401, "NONCE_REUSED")

    @pytest.mark.parametrize(
        ("sealed", "code"),
        [
            (None, "PARAM_ERROR"),
            ({"algorithm": "NONE"}, "PARAM_ERROR"),
            (
                {
                    "algorithm": "AEAD_AES_256_GCM",
                    "associated_data": "0192f0c4-0000-7000-8000-000000000000",
                    "nonce": "AAAAAAAAAAAAAAAA",
                    "ciphertext": "QUFBQQ==",
                },
                "CARD_NUMBER_UNREADABLE",
            ),
        ],
    )
    def test_a_card_number_must_open(self, sandbox: Sandbox, sealed: Any, code: str) -> None:
        attempt_id = "0192f0c4-0000-7000-8000-000000000000"
        document = {"attempt_id": attempt_id, "brand": "SINOPEC", "card_number": sealed, "amount_fen": 1}
        answer = issue(sandbox, json.dumps(document).encode())
        assert (answer.status_code, answer.json()["code"]) == (400, code)
        assert sandbox.recharge(attempt_id) is None
