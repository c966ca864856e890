"""Face verification on the sandbox, over real HTTP with real signatures, and the answers that it would never give."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from domain.identity.ports import FaceFacts, FaceOutcome, FaceUnavailable, FaceVerifier
from domain.orders.ports import ThirdParties
from gateways.assembly import third_parties
from gateways.tc3 import Credentials
from gateways.tencent_face import TencentFace
from kernel.settings import Settings
from tests.sandbox_fixtures import Sandbox

SUBJECT = "order-0192f0c4"
Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def face(parties: ThirdParties) -> FaceVerifier:
    return parties.face


@asynccontextmanager
async def answering(handler: Answer) -> AsyncIterator[TencentFace]:
    transport = httpx.MockTransport(handler)
    async with httpx.AsyncClient(transport=transport, base_url="http://faceid.example") as client:
        yield TencentFace(
            client=client,
            credentials=Credentials(secret_id="AKID1", secret_key="secret-key"),
            rule_id="7",
            redirect_url="https://youka.example/done",
            timeout_s=1,
        )


def saying(response: Any) -> Answer:
    return lambda _: httpx.Response(200, json={"Response": response})


def error(code: str) -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": "something about 张三"}, "RequestId": "1"}


class TestOnTheSandbox:
    async def test_a_session_begins_where_the_user_can_go(
        self, face: FaceVerifier, sandbox: Sandbox, settings: Settings
    ) -> None:
        first, second = await face.begin(subject=SUBJECT), await face.begin(subject=SUBJECT)
        assert first.token != second.token
        assert first.url == f"{sandbox.url}/#{first.token}"
        session = sandbox.face(first.token)
        assert (session["extra"], session["redirect_url"]) == (SUBJECT, settings.base_url)

    async def test_pending_until_the_user_has_gone_through(self, face: FaceVerifier) -> None:
        session = await face.begin(subject=SUBJECT)
        assert await face.result(session.token) == FaceFacts(session.token, FaceOutcome.PENDING, SUBJECT)

    @pytest.mark.parametrize(("outcome", "told"), [("passed", FaceOutcome.PASSED), ("failed", FaceOutcome.FAILED)])
    async def test_the_outcome_carries_the_subject_it_was_begun_for(
        self, face: FaceVerifier, sandbox: Sandbox, outcome: str, told: FaceOutcome
    ) -> None:
        mine, other = await face.begin(subject=SUBJECT), await face.begin(subject="订单 2")
        sandbox.verify_face(mine.token, outcome)
        assert await face.result(mine.token) == FaceFacts(mine.token, told, SUBJECT)
        assert await face.result(mine.token) == FaceFacts(mine.token, told, SUBJECT)
        assert await face.result(other.token) == FaceFacts(other.token, FaceOutcome.PENDING, "订单 2")

    async def test_who_failed_may_try_again(self, face: FaceVerifier, sandbox: Sandbox) -> None:
        session = await face.begin(subject=SUBJECT)
        sandbox.verify_face(session.token, "failed")
        sandbox.verify_face(session.token, "passed")
        assert (await face.result(session.token)).outcome is FaceOutcome.PASSED

    async def test_an_expired_session_has_failed(self, face: FaceVerifier, sandbox: Sandbox) -> None:
        session = await face.begin(subject=SUBJECT)
        sandbox.verify_face(session.token, "expired")
        assert await face.result(session.token) == FaceFacts(session.token, FaceOutcome.FAILED, "")

    @pytest.mark.parametrize("token", ["CE661F1A-0F1E-45BD-BE13-34C05CEA7681", "", "x" * 129, '","RuleId":"0', "人脸"])
    async def test_an_invented_token_has_failed(self, face: FaceVerifier, token: str) -> None:
        assert await face.result(token) == FaceFacts(token, FaceOutcome.FAILED, "")

    async def test_a_subject_of_any_text_comes_back_as_it_was(self, face: FaceVerifier, sandbox: Sandbox) -> None:
        subject = '油卡 "1"\n&=\\ 😀' + "x" * 1_000
        session = await face.begin(subject=subject)
        sandbox.verify_face(session.token)
        assert (await face.result(session.token)).subject == subject

    @pytest.mark.parametrize("fault", ["error_500", "rate_limit"])
    async def test_unavailable(self, face: FaceVerifier, sandbox: Sandbox, fault: str) -> None:
        session = await face.begin(subject=SUBJECT)
        sandbox.faults(face=fault)
        with pytest.raises(FaceUnavailable):
            await face.begin(subject=SUBJECT)
        with pytest.raises(FaceUnavailable):
            await face.result(session.token)
        sandbox.clear_faults()
        assert (await face.result(session.token)).outcome is FaceOutcome.PENDING

    async def test_no_answer(self, hasty_parties: ThirdParties, sandbox: Sandbox) -> None:
        sandbox.faults(face="timeout")
        with capture_logs() as logs, pytest.raises(FaceUnavailable):
            await hasty_parties.face.begin(subject=SUBJECT)
        assert [(each["event"], each["operation"]) for each in logs] == [("tencent_face.unavailable", "DetectAuth")]

    async def test_a_short_failure_is_bridged(self, face: FaceVerifier, sandbox: Sandbox) -> None:
        sandbox.faults(face="error_500", times=2)
        assert (await face.begin(subject=SUBJECT)).token

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"tencent_secret_id": "AKIDnobody"}, "AuthFailure.SecretIdNotFound"),
            ({"tencent_secret_key": "wrong"}, "AuthFailure.SignatureFailure"),
            ({"tencent_face_rule_id": "999"}, "InvalidParameterValue.RuleIdNotExist"),
        ],
    )
    async def test_our_own_mistake_is_told_to_the_operator_and_not_the_users(
        self, settings: Settings, sandbox: Sandbox, change: dict[str, object], code: str
    ) -> None:
        before = sandbox.state()["faces"]
        async with third_parties(Settings(**{**settings.model_dump(), **change})) as parties:
            for ask in (parties.face.begin(subject=SUBJECT), parties.face.result("CE661F1A")):
                with capture_logs() as logs, pytest.raises(FaceUnavailable):
                    await ask
                assert [(each["log_level"], each["said"]) for each in logs] == [("error", code)]
        assert sandbox.state()["faces"] == before

    async def test_nothing_about_the_person_comes_out(self, face: FaceVerifier, sandbox: Sandbox) -> None:
        """The sandbox answers like the service, with a name and an identity number in it."""
        session = await face.begin(subject=SUBJECT)
        sandbox.verify_face(session.token)
        with capture_logs() as logs:
            facts = await face.result(session.token)
        assert logs == []
        assert facts == FaceFacts(token=session.token, outcome=FaceOutcome.PASSED, subject=SUBJECT)


class TestResults:
    @pytest.mark.parametrize(
        ("detail", "outcome"),
        [
            ({"ErrCode": 0, "Extra": SUBJECT}, FaceOutcome.PASSED),
            ({"ErrCode": None, "Extra": SUBJECT}, FaceOutcome.PENDING),
            ({"Extra": SUBJECT}, FaceOutcome.PENDING),
            ({"ErrCode": 17, "Extra": SUBJECT}, FaceOutcome.PENDING),
            ({"ErrCode": 16, "Extra": SUBJECT}, FaceOutcome.FAILED),
            ({"ErrCode": 1004, "Extra": SUBJECT}, FaceOutcome.FAILED),
            ({"ErrCode": 2016, "Extra": SUBJECT}, FaceOutcome.FAILED),
            ({"ErrCode": -1, "Extra": SUBJECT}, FaceOutcome.FAILED),
        ],
    )
    async def test_outcomes(self, detail: dict[str, Any], outcome: FaceOutcome) -> None:
        async with answering(saying({"Text": detail})) as face:
            assert await face.result("T") == FaceFacts("T", outcome, SUBJECT)

    async def test_no_text_yet_is_pending(self) -> None:
        for response in ({"Text": None}, {}):
            async with answering(saying(response)) as face:
                assert await face.result("T") == FaceFacts("T", FaceOutcome.PENDING, "")

    @pytest.mark.parametrize("extra", [None, ""])
    async def test_a_passed_session_without_a_subject_is_nobodys(self, extra: str | None) -> None:
        async with answering(saying({"Text": {"ErrCode": 0, "Extra": extra}})) as face:
            assert await face.result("T") == FaceFacts("T", FaceOutcome.PASSED, "")

    @pytest.mark.parametrize(
        "detail",
        [{"ErrCode": "0"}, {"ErrCode": False}, {"ErrCode": 0.0}, {"ErrCode": []}, {"ErrCode": 0, "Extra": 5}, [], "0"],
    )
    async def test_what_is_not_understood_has_not_passed(self, detail: Any) -> None:
        async with answering(saying({"Text": detail})) as face:
            with pytest.raises(FaceUnavailable):
                await face.result("T")

    @pytest.mark.parametrize("code", ["InvalidParameterValue.BizTokenExpired", "InvalidParameterValue.BizTokenIllegal"])
    async def test_a_token_that_is_gone_has_failed(self, code: str) -> None:
        async with answering(saying(error(code))) as face:
            assert await face.result("T") == FaceFacts("T", FaceOutcome.FAILED, "")
            with pytest.raises(FaceUnavailable):
                await face.begin(subject=SUBJECT)

    @pytest.mark.parametrize(
        ("code", "level"),
        [
            ("RequestLimitExceeded.UinLimitExceeded", "warning"),
            ("InternalError.UnKnown", "warning"),
            ("FailedOperation.DbError", "warning"),
            ("AuthFailure.SignatureExpire", "error"),
            ("UnauthorizedOperation.Arrears", "error"),
            ("InvalidParameterValue", "error"),
        ],
    )
    async def test_every_other_refusal_says_nothing_about_the_user(self, code: str, level: str) -> None:
        async with answering(saying(error(code))) as face:
            with capture_logs() as logs, pytest.raises(FaceUnavailable):
                await face.result("T")
        assert [(each["log_level"], each["said"]) for each in logs] == [(level, code)]

    @pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"Response":5}', b'{"Response":{"Error":{}}}', b"<html>"])
    async def test_nonsense(self, body: bytes) -> None:
        async with answering(lambda _: httpx.Response(200, content=body)) as face:
            with pytest.raises(FaceUnavailable):
                await face.result("T")
            with pytest.raises(FaceUnavailable):
                await face.begin(subject=SUBJECT)

    @pytest.mark.parametrize("status", [302, 400, 403, 404, 429, 500])
    async def test_a_status_says_nothing(self, status: int) -> None:
        document = {"Response": {"Text": {"ErrCode": 0, "Extra": SUBJECT}, "BizToken": "T", "Url": "https://u"}}
        async with answering(lambda _: httpx.Response(status, json=document)) as face:
            with pytest.raises(FaceUnavailable):
                await face.result("T")
            with pytest.raises(FaceUnavailable):
                await face.begin(subject=SUBJECT)

    @pytest.mark.parametrize("response", [{"BizToken": "T"}, {"BizToken": "", "Url": "https://u"}, {"Url": 5}])
    async def test_a_session_without_a_token_or_an_address(self, response: dict[str, Any]) -> None:
        async with answering(saying(response)) as face:
            with pytest.raises(FaceUnavailable):
                await face.begin(subject=SUBJECT)


async def test_the_requests_on_the_wire() -> None:
    """As the documentation says: what is asked for is the texts alone, and nothing about the user is sent."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"Response": {"BizToken": "T", "Url": "https://u", "Text": None}})

    async with answering(handler) as face:
        await face.begin(subject=SUBJECT)
        await face.result("T")
    began, asked = seen
    assert [each.headers["X-TC-Action"] for each in seen] == ["DetectAuth", "GetDetectInfoEnhanced"]
    assert {(each.method, each.url.raw_path, each.headers["X-TC-Version"]) for each in seen} == {
        ("POST", b"/", "2018-03-01")
    }
    assert json.loads(began.content) == {
        "RuleId": "7",
        "Extra": SUBJECT,
        "RedirectUrl": "https://youka.example/done",
    }
    assert json.loads(asked.content) == {"BizToken": "T", "RuleId": "7", "InfoType": "1"}
    for each in seen:
        assert each.headers["Authorization"].startswith("TC3-HMAC-SHA256 Credential=AKID1/")
        assert "X-TC-Region" not in each.headers


async def test_secrets_and_people_stay_out_of_the_log() -> None:
    document = {"Error": {"Code": "InternalError", "Message": "张三 110101"}, "Text": {"Name": "张三"}}
    with capture_logs() as logs:
        async with answering(saying(document)) as face:
            with pytest.raises(FaceUnavailable) as caught:
                await face.result("TOKEN-1")
        async with answering(saying({"Text": {"ErrCode": "张三"}})) as face:
            with pytest.raises(FaceUnavailable):
                await face.result("TOKEN-1")
    assert len(logs) == 2
    assert caught.value.__cause__ is None
    for secret in ("张三", "110101", "TOKEN-1", "secret-key", "AKID1"):
        assert secret not in str(logs)
        assert secret not in str(caught.value)
