"""Text messages by Tencent Cloud (短信), `SendSms` of API 3.0.

Sources: Tencent Cloud's documentation, "发送短信 SendSms" (version 2021-01-11, service `sms`) and "签名方法 v3". The
template has two parameters: the code, and for how many minutes it is good.
"""

from __future__ import annotations

from datetime import timedelta

import httpx
import orjson

from domain.identity.ports import Phone, SmsUnavailable
from gateways.documents import Malformed, child, parse, text
from gateways.exchange import Unsettled, exchange
from gateways.tc3 import Credentials, authorization
from kernel.clock import utc_now
from kernel.logs import get_logger

SERVICE, VERSION, ACTION = "sms", "2021-01-11", "SendSms"
CONTENT_TYPE = "application/json; charset=utf-8"
CODE_LENGTH_MAX = 64
S_PER_MIN = 60
OK = "Ok"

log = get_logger(__name__)


class TencentSms:
    """Implements `domain.identity.ports.SmsSender`. Neither numbers nor codes are logged, nor the service's words."""

    def __init__(
        self,
        *,
        client: httpx.AsyncClient,
        credentials: Credentials,
        region: str,
        sdk_app_id: str,
        sign_name: str,
        template_id: str,
        timeout_s: float,
    ) -> None:
        self._client, self._credentials, self._region = client, credentials, region
        self._sdk_app_id, self._sign_name, self._template_id = sdk_app_id, sign_name, template_id
        self._timeout_s = timeout_s

    async def send_code(self, *, phone: Phone, code: str, lifetime: timedelta) -> None:
        """Send a code once; a request whose answer is lost is not repeated. Raises SmsUnavailable."""
        parameters = {
            "PhoneNumberSet": [phone.e164],
            "SmsSdkAppId": self._sdk_app_id,
            "SignName": self._sign_name,
            "TemplateId": self._template_id,
            "TemplateParamSet": [code, str(max(1, int(lifetime.total_seconds()) // S_PER_MIN))],
        }
        content = orjson.dumps(parameters)
        try:
            answer = await exchange(
                self._client, lambda: self._request(content), budget_s=self._timeout_s, attempts_max=1
            )
            if answer.refused:
                raise Unsettled(f"status {answer.status}")
            said = _said(answer.body)
        except (Unsettled, Malformed) as error:
            log.warning("sms.unavailable", reason=str(error))
            raise SmsUnavailable from None
        if said != OK:
            log.warning("sms.refused", said=said)
            raise SmsUnavailable

    def _request(self, content: bytes) -> httpx.Request:
        timestamp = int(utc_now().timestamp())
        headers = {
            "Content-Type": CONTENT_TYPE,
            "X-TC-Action": ACTION,
            "X-TC-Version": VERSION,
            "X-TC-Region": self._region,
            "X-TC-Timestamp": str(timestamp),
        }
        request = self._client.build_request("POST", "/", content=content, headers=headers)
        request.headers["Authorization"] = authorization(
            self._credentials,
            service=SERVICE,
            host=request.headers["Host"],
            action=ACTION,
            content_type=CONTENT_TYPE,
            timestamp=timestamp,
            body=content,
        )
        return request


def _said(body: bytes) -> str:
    """Return the code of the one message, or that of the whole request's refusal. Raises Malformed."""
    response = child(parse(body), "Response")
    if response.get("Error") is not None:
        return text(child(response, "Error"), "Code")[:CODE_LENGTH_MAX]
    statuses = response.get("SendStatusSet")
    if not isinstance(statuses, list) or len(statuses) != 1 or not isinstance(statuses[0], dict):
        raise Malformed("SendStatusSet is not of the one message")
    return text(statuses[0], "Code")[:CODE_LENGTH_MAX]
