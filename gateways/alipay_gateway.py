"""The one address of Alipay's open platform, `gateway.do`: every method is a signed form, every answer a signed node.

Sources: Alipay's open platform, "公共请求参数", "公共响应参数", "公共错误码" and "如何自行实现验签".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from domain.payments.ports import ChannelRefused, ChannelUnavailable
from gateways.alipay_facts import time_text
from gateways.alipay_signing import SIGN_TYPE, UNSIGNED, nodes, signed_text
from gateways.documents import Document, Malformed, parse, text
from gateways.exchange import ATTEMPTS_MAX, Unsettled, exchange
from gateways.signing import Signer, is_signed_by, signature_text
from kernel.clock import utc_now
from kernel.logs import get_logger

PATH = "/gateway.do"
CHARSET, VERSION = "utf-8", "1.0"
SUCCESS_CODE = "10000"
ERROR_NODE = "error_response"
# Nobody has judged what was asked: 20000 is the platform's own trouble, 10003 a payment that is under way, 20001 an
# authorisation that has to be looked at first.
UNJUDGED_CODES = frozenset({"10003", "20000", "20001"})
# A business error that is the platform's own trouble too.
UNJUDGED_SUB_CODES = frozenset(
    {"ACQ.SYSTEM_ERROR", "aop.ACQ.SYSTEM_ERROR", "ACQ.SYSTEM_BUSY", "isp.unknow-error", "isv.app-call-limited"}
)
CODE_LENGTH_MAX = 64

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AlipayKeys:
    signer: Signer = field(repr=False)
    alipay_key: RSAPublicKey


class AlipayGateway:
    """Asks one method at a time. An answer counts only with Alipay's RSA2 signature, refusals included."""

    def __init__(self, *, client: httpx.AsyncClient, keys: AlipayKeys, app_id: str, timeout_s: float) -> None:
        self.app_id = app_id
        self._client, self._keys, self._timeout_s = client, keys, timeout_s

    @property
    def alipay_key(self) -> RSAPublicKey:
        return self._keys.alipay_key

    async def call(self, method: str, content: Document, **parameters: str) -> Document:
        """Ask with `biz_content`; it must be safe to repeat. Raises ChannelUnavailable or ChannelRefused."""
        given = {"biz_content": orjson.dumps(content).decode(), **parameters}
        document = await self.ask(method, given, attempts_max=ATTEMPTS_MAX)
        self.raise_if_refused(method, document, code=text_of(document, "code"))
        return document

    async def ask(self, method: str, given: Mapping[str, str], *, attempts_max: int) -> Document:
        """Send the method, and return the node of the answer once its signature is good. Raises ChannelUnavailable."""
        try:
            answer = await exchange(
                self._client,
                lambda: self._request(method, given),
                budget_s=self._timeout_s,
                attempts_max=attempts_max,
            )
            if answer.refused:
                # The platform answers everything with 200; somebody else has answered this.
                raise Unsettled(f"status {answer.status}")
            return self._verified(method, answer.body)
        except (Unsettled, Malformed) as error:
            raise self.unavailable(method, str(error)) from None

    def raise_if_refused(self, method: str, document: Document, *, code: str) -> None:
        """Raises ChannelRefused where the answer says no, and ChannelUnavailable where it says nothing."""
        if code == SUCCESS_CODE:
            return
        sub_code = text_of(document, "sub_code")
        if not code or code in UNJUDGED_CODES or sub_code in UNJUDGED_SUB_CODES:
            raise self.unavailable(method, f"code {code} {sub_code}")
        log.warning("alipay.refused", method=method, code=code, sub_code=sub_code)
        raise ChannelRefused(sub_code or code, text_of(document, "sub_msg"))

    def unavailable(self, method: str, reason: str) -> ChannelUnavailable:
        log.warning("alipay.unavailable", method=method, reason=reason)
        return ChannelUnavailable(f"{method}: {reason}")

    async def _request(self, method: str, given: Mapping[str, str]) -> httpx.Request:
        """Raises SigningFailed."""
        parameters = {
            "app_id": self.app_id,
            "method": method,
            "format": "JSON",
            "charset": CHARSET,
            "sign_type": SIGN_TYPE,
            "timestamp": time_text(utc_now()),
            "version": VERSION,
            **given,
        }
        parameters["sign"] = await signature_text(self._keys.signer, signed_text(parameters, without=UNSIGNED))
        # The platform reads the form in the charset that the address names.
        return self._client.build_request("POST", PATH, params={"charset": CHARSET}, data=parameters)

    def _verified(self, method: str, body: bytes) -> Document:
        found = nodes(body)
        named = {method.replace(".", "_") + "_response", ERROR_NODE} & found.keys()
        if len(named) != 1 or "sign" not in found:
            raise Malformed("an answer without its node or its signature")
        node = found[named.pop()]
        signature = orjson.loads(found["sign"])
        if not isinstance(signature, str) or not is_signed_by(self._keys.alipay_key, node, signature):
            # What is not signed proves nothing, but its code tells an operator why.
            log.error("alipay.answer_unverified", method=method, said=_said(node))
            raise Malformed("the signature does not match")
        return parse(node)


def text_of(document: Document, name: str) -> str:
    """Return a text that may be missing, cut to the length that a code or a log line may have."""
    try:
        return text(document, name)[:CODE_LENGTH_MAX]
    except Malformed:
        return ""


def _said(node: bytes) -> str:
    try:
        document = parse(node)
    except Malformed:
        return ""
    return text_of(document, "sub_code") or text_of(document, "code")
