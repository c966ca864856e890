"""Face verification by Tencent Cloud (人脸核身), `DetectAuth` and `GetDetectInfoEnhanced` of API 3.0.

Sources: Tencent Cloud's documentation, "实名核身鉴权", "获取实名核身结果信息增强版", "公共错误码" and, for the
outcomes, "微信小程序/H5 返回码". The service signs nothing; TLS vouches for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import httpx
import orjson

from domain.identity.ports import FaceFacts, FaceOutcome, FaceSession, FaceUnavailable
from gateways.documents import Document, Malformed, child, parse, text, text_or_none
from gateways.exchange import Unsettled, exchange
from gateways.tc3 import Credentials, authorization
from kernel.clock import utc_now
from kernel.logs import get_logger

SERVICE = "faceid"
VERSION = "2018-03-01"
BEGIN, RESULT = "DetectAuth", "GetDetectInfoEnhanced"
CONTENT_TYPE = "application/json; charset=utf-8"
# Texts only: neither the pictures nor the video of the user.
INFO_TYPE = "1"
SUBJECT_LENGTH_MAX = 1024
TOKEN_LENGTH_MAX = 128
CODE_LENGTH_MAX = 64
PASSED = 0
# 本次流程未完成: the user is still in the middle of it.
UNFINISHED = 17
GONE_CODES = frozenset({"InvalidParameterValue.BizTokenExpired", "InvalidParameterValue.BizTokenIllegal"})
# These pass by themselves. What else is refused (keys, the rule, an unpaid account) only an operator can change.
PASSING_CODES = ("RequestLimitExceeded", "LimitExceeded", "InternalError", "FailedOperation")

log = get_logger(__name__)
T = TypeVar("T")


class Refused(Exception):
    """The service turned the request down, with a code of its own."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class TencentFace:
    """Implements `domain.identity.ports.FaceVerifier`.

    Of what the service answers only the outcome and our own subject leave this class; names, identity numbers and
    the messages of refusals are dropped here. The rule must be one that asks the user for the identity document, as we
    send none. Only a session that somebody goes through is charged, so lost requests are sent again.
    """

    def __init__(
        self, *, client: httpx.AsyncClient, credentials: Credentials, rule_id: str, redirect_url: str, timeout_s: float
    ) -> None:
        self._client, self._credentials, self._timeout_s = client, credentials, timeout_s
        self._rule_id, self._redirect_url = rule_id, redirect_url

    async def begin(self, *, subject: str) -> FaceSession:
        """Begin a session whose result will carry `subject`, at most 1,024 characters. Raises FaceUnavailable."""
        assert 0 < len(subject) <= SUBJECT_LENGTH_MAX, "a subject that the service does not carry"
        parameters = {"RuleId": self._rule_id, "Extra": subject, "RedirectUrl": self._redirect_url}
        try:
            return await self._ask(BEGIN, parameters, read_session)
        except Refused as refused:
            raise self._turned_down(BEGIN, refused) from None

    async def result(self, token: str) -> FaceFacts:
        """Ask how a session ended; one that the service does not know has FAILED. Raises FaceUnavailable."""
        unknown = FaceFacts(token=token, outcome=FaceOutcome.FAILED, subject="")
        if not 0 < len(token) <= TOKEN_LENGTH_MAX:
            return unknown
        parameters = {"BizToken": token, "RuleId": self._rule_id, "InfoType": INFO_TYPE}
        try:
            return await self._ask(RESULT, parameters, lambda response: read_result(token, response))
        except Refused as refused:
            if refused.code in GONE_CODES:
                return unknown
            raise self._turned_down(RESULT, refused) from None

    async def _ask(self, action: str, parameters: Document, read: Callable[[Document], T]) -> T:
        """Send, and read what `Response` holds. Raises Refused with the service's code, or FaceUnavailable."""
        content = orjson.dumps(parameters)
        try:
            answer = await exchange(self._client, lambda: self._request(action, content), budget_s=self._timeout_s)
            if answer.refused:
                raise Unsettled(f"status {answer.status}")
            response = child(parse(answer.body), "Response")
            if response.get("Error") is not None:
                raise Refused(text(child(response, "Error"), "Code")[:CODE_LENGTH_MAX])
            return read(response)
        except (Unsettled, Malformed) as error:
            log.warning("tencent_face.unavailable", operation=action, reason=str(error))
            raise FaceUnavailable from None

    def _request(self, action: str, content: bytes) -> httpx.Request:
        timestamp = int(utc_now().timestamp())
        headers = {
            "Content-Type": CONTENT_TYPE,
            "X-TC-Action": action,
            "X-TC-Version": VERSION,
            "X-TC-Timestamp": str(timestamp),
        }
        request = self._client.build_request("POST", "/", content=content, headers=headers)
        request.headers["Authorization"] = authorization(
            self._credentials,
            service=SERVICE,
            host=request.headers["Host"],
            action=action,
            content_type=CONTENT_TYPE,
            timestamp=timestamp,
            body=content,
        )
        return request

    def _turned_down(self, action: str, refused: Refused) -> FaceUnavailable:
        tell = log.warning if refused.code.startswith(PASSING_CODES) else log.error
        tell("tencent_face.refused", operation=action, said=refused.code)
        return FaceUnavailable()


def read_session(response: Document) -> FaceSession:
    return FaceSession(token=text(response, "BizToken"), url=text(response, "Url"))


def read_result(token: str, response: Document) -> FaceFacts:
    """Read how a session stands. Nothing but the number 0 has passed. Raises Malformed."""
    if response.get("Text") is None:
        return FaceFacts(token=token, outcome=FaceOutcome.PENDING, subject="")
    detail = child(response, "Text")
    code = detail.get("ErrCode")
    if code is not None and (isinstance(code, bool) or not isinstance(code, int)):
        raise Malformed("ErrCode is not a number")
    outcome = FaceOutcome.PASSED if code == PASSED else FaceOutcome.FAILED
    if code is None or code == UNFINISHED:
        outcome = FaceOutcome.PENDING
    return FaceFacts(token=token, outcome=outcome, subject=text_or_none(detail, "Extra") or "")
