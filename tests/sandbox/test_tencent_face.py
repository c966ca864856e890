"""The pretended face verification believes nobody, and answers errors as API 3.0 does: with status 200."""

from __future__ import annotations

import hmac
import json
import time
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import httpx
import pytest

from tests.sandbox_fixtures import Sandbox

BODY = json.dumps({"RuleId": "1", "Extra": "order-1", "RedirectUrl": "https://youka.example"}).encode()


def sign(secret_key: str, *, host: str, action: str, timestamp: int, body: bytes, service: str = "faceid") -> str:
    """签名方法 v3, written down here once more."""
    day = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
    canonical = (
        f"POST\n/\n\ncontent-type:application/json\nhost:{host}\nx-tc-action:{action.lower()}\n\n"
        f"content-type;host;x-tc-action\n{sha256(body).hexdigest()}"
    )
    message = f"TC3-HMAC-SHA256\n{timestamp}\n{day}/{service}/tc3_request\n{sha256(canonical.encode()).hexdigest()}"
    key = f"TC3{secret_key}".encode()
    for part in (day, service, "tc3_request", message):
        key = hmac.new(key, part.encode(), sha256).digest()
    return key.hex()


def ask(
    sandbox: Sandbox,
    body: bytes = BODY,
    *,
    action: str = "DetectAuth",
    version: str = "2018-03-01",
    age_s: int = 0,
    secret_id: str | None = None,
    secret_key: str | None = None,
    signed: dict[str, Any] | None = None,
    authorization: str | None = None,
) -> Any:
    """Send a request; `signed` replaces what is signed, but not what is sent."""
    timestamp = int(time.time()) - age_s
    parts = {"host": f"127.0.0.1:{sandbox.port}", "action": action, "timestamp": timestamp, "body": body}
    signature = sign(secret_key or (sandbox.keys / "tencent_secret_key").read_text(), **{**parts, **(signed or {})})
    day = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
    secret_id = secret_id or (sandbox.keys / "tencent_secret_id").read_text()
    headers = {
        "Content-Type": "application/json",
        "X-TC-Action": action,
        "X-TC-Version": version,
        "X-TC-Timestamp": str(timestamp),
        "Authorization": authorization
        if authorization is not None
        else f"TC3-HMAC-SHA256 Credential={secret_id}/{day}/faceid/tc3_request, "
        f"SignedHeaders=content-type;host;x-tc-action, Signature={signature}",
    }
    answer = sandbox.client.post("/", content=body, headers=headers)
    assert answer.status_code == 200
    response = answer.json()["Response"]
    assert response["RequestId"]
    return response


def test_a_good_signature(sandbox: Sandbox) -> None:
    assert sandbox.face(ask(sandbox)["BizToken"])["extra"] == "order-1"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"secret_id": "AKIDnobody"}, "AuthFailure.SecretIdNotFound"),
        ({"secret_key": "wrong"}, "AuthFailure.SignatureFailure"),
        ({"signed": {"body": BODY + b" "}}, "AuthFailure.SignatureFailure"),
        ({"signed": {"host": "faceid.tencentcloudapi.com"}}, "AuthFailure.SignatureFailure"),
        ({"signed": {"action": "GetDetectInfoEnhanced"}}, "AuthFailure.SignatureFailure"),
        ({"signed": {"service": "cvm"}}, "AuthFailure.SignatureFailure"),
        ({"signed": {"timestamp": int(time.time()) - 7}}, "AuthFailure.SignatureFailure"),
        ({"age_s": 400}, "AuthFailure.SignatureExpire"),
        ({"age_s": -400}, "AuthFailure.SignatureExpire"),
        ({"authorization": ""}, "AuthFailure.InvalidAuthorization"),
        ({"authorization": "Bearer x"}, "AuthFailure.InvalidAuthorization"),
    ],
)
def test_any_other(sandbox: Sandbox, change: dict[str, Any], code: str) -> None:
    before = sandbox.state()["faces"]
    assert ask(sandbox, **change)["Error"]["Code"] == code
    assert sandbox.state()["faces"] == before


@pytest.mark.parametrize("names", ["content-type", "host;x-tc-action", "x-tc-action;host;content-type"])
def test_type_and_host_must_be_signed(sandbox: Sandbox, names: str) -> None:
    secret_id, day = (sandbox.keys / "tencent_secret_id").read_text(), datetime.now(UTC).strftime("%Y-%m-%d")
    credential = f"Credential={secret_id}/{day}/faceid/tc3_request"
    header = f"TC3-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={'0' * 64}"
    assert ask(sandbox, authorization=header)["Error"]["Code"] == "AuthFailure.InvalidAuthorization"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"action": "LivenessCompare"}, "InvalidAction"),
        ({"version": "2017-03-12"}, "NoSuchVersion"),
        ({"body": b"[]"}, "InvalidParameter"),
        ({"body": b"{"}, "InvalidParameter"),
        ({"body": b"{}"}, "InvalidParameterValue.RuleIdNotExist"),
        ({"body": b'{"RuleId":"9"}'}, "InvalidParameterValue.RuleIdNotExist"),
        ({"body": b'{"RuleId":"1","Extra":5}'}, "InvalidParameterValue"),
        ({"body": json.dumps({"RuleId": "1", "Extra": "x" * 1025}).encode()}, "InvalidParameterValue"),
        ({"action": "GetDetectInfoEnhanced"}, "InvalidParameterValue.BizTokenIllegal"),
    ],
)
def test_a_request_is_checked(sandbox: Sandbox, change: dict[str, Any], code: str) -> None:
    assert ask(sandbox, **change)["Error"]["Code"] == code


def test_a_result_looks_like_the_services(sandbox: Sandbox) -> None:
    token = ask(sandbox)["BizToken"]
    body = json.dumps({"BizToken": token, "RuleId": "1", "InfoType": "1"}).encode()
    seen = []
    for outcome in (None, "failed", "passed"):
        if outcome:
            sandbox.verify_face(token, outcome)
        text = ask(sandbox, body, action="GetDetectInfoEnhanced")["Text"]
        seen.append((text["ErrCode"], text["Extra"], bool(text["Name"]), bool(text["IdCard"])))
    assert seen == [(None, "order-1", False, False), (2016, "order-1", True, True), (0, "order-1", True, True)]


class TestTheUser:
    @pytest.mark.parametrize("first", ["passed", "expired"])
    def test_who_is_done_is_done(self, sandbox: Sandbox, first: str) -> None:
        token = ask(sandbox)["BizToken"]
        sandbox.verify_face(token, first)
        with pytest.raises(httpx.HTTPStatusError, match="409"):
            sandbox.verify_face(token, "failed")
        assert sandbox.face(token)["outcome"] == first

    def test_a_token_that_there_is_not(self, sandbox: Sandbox) -> None:
        with pytest.raises(httpx.HTTPStatusError, match="404"):
            sandbox.verify_face("no-such-token")

    @pytest.mark.parametrize("body", [{}, {"token": 5, "outcome": "passed"}, {"token": "x", "outcome": "maybe"}])
    def test_a_wrong_wish(self, sandbox: Sandbox, body: dict[str, Any]) -> None:
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            sandbox.control("face", **body)

    def test_another_tokens_result_is_untouched(self, sandbox: Sandbox) -> None:
        mine, other = ask(sandbox)["BizToken"], ask(sandbox)["BizToken"]
        sandbox.verify_face(mine)
        assert (sandbox.face(mine)["outcome"], sandbox.face(other)["outcome"]) == ("passed", None)
