"""How WeChat Pay API v3 is spoken, whatever is said: signed requests, signed answers, signed and sealed callbacks.

Sources: "签名生成", "签名验证", "证书和回调报文解密", "如何应对签名探测流量" of WeChat Pay's partner documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import httpx
import orjson

from domain.payments.ports import (
    ChannelRefused,
    ChannelUnavailable,
    NoticeNonce,
    NoticeRefused,
    NoticeUndecided,
)
from gateways.documents import Document, Malformed, child, parse, text
from gateways.exchange import Answer, Unsettled, exchange
from gateways.signing import (
    AEAD_ALGORITHM,
    NotDecryptable,
    Signer,
    SigningFailed,
    decrypt,
    encrypt_field,
    fresh_nonce,
    is_fresh,
    is_signed_by,
    signature_text,
    signed_lines,
)
from gateways.wechat_pay_keyring import Keyring, KeysUnavailable, PlatformKey, read_certificates
from kernel.clock import utc_now
from kernel.logs import get_logger

SCHEME = "WECHATPAY2-SHA256-RSA2048"
CERTIFICATES = "/v3/certificates"
# What WeChat Pay signs wrongly on purpose, to see whether anybody looks, begins like this.
PROBE_PREFIX = "WECHATPAY/SIGNTEST/"
NOTICE_ID_LENGTH_MAX = 64
NONCE_LENGTH_MAX = 64
CODE_LENGTH_MAX = 64

log = get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WeChatPayKeys:
    """`platform_keys` are those that somebody gave; there may be none, since certificates can be downloaded."""

    merchant_serial: str
    signer: Signer = field(repr=False)
    platform_keys: tuple[PlatformKey, ...]
    api_v3_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a verified callback holds, opened."""

    notice_id: str
    event: str
    document: Document
    nonce: NoticeNonce


@dataclass(frozen=True, slots=True)
class _Seal:
    """The headers by which an answer or a callback is signed."""

    serial: str
    timestamp: str
    nonce: str
    signature: str

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> _Seal | None:
        named = {name.lower(): value for name, value in headers.items()}
        values = [named.get(f"wechatpay-{name}", "") for name in ("serial", "timestamp", "nonce", "signature")]
        return cls(*values) if all(values) else None


class WeChatPayWire:
    """One address of WeChat Pay, spoken to as one service provider. Wires share the keyring of their deployment."""

    def __init__(
        self,
        *,
        client: httpx.AsyncClient,
        keys: WeChatPayKeys,
        keyring: Keyring,
        mchid: str,
        timeout_s: float,
        age_max_s: int,
    ) -> None:
        self.mchid, self.client = mchid, client
        self._keys, self._keyring = keys, keyring
        self._timeout_s, self._age_max_s = timeout_s, age_max_s

    async def ask(self, operation: str, method: str, path: str, body: Document | None, *, serial: str = "") -> Answer:
        """Send, and return an answer of which the signature is good. Raises ChannelUnavailable.

        `serial` names the key that fields of the body are encrypted for.
        """
        answer = await self._exchange(operation, method, path, body, serial)
        try:
            problem = await self._signature_problem(_Seal.of(answer.headers), answer.body, utc_now())
        except KeysUnavailable as error:
            problem = str(error)
        if problem is not None:
            # What is unsigned proves nothing, but its code tells an operator why, such as SIGN_ERROR.
            said = self.code(answer)
            log.error("wechat_pay.answer_unverified", operation=operation, status=answer.status, said=said)
            raise self._unavailable(operation, problem)
        return answer

    async def download_certificates(self) -> list[PlatformKey]:
        """Ask for the platform's certificates. Raises KeysUnavailable.

        What comes is sealed with the APIv3 key, and signed by a key that is known or by one that it brings.
        """
        try:
            answer = await self._exchange("certificates", "GET", CERTIFICATES, None, "")
            if answer.refused:
                raise KeysUnavailable(f"the certificates are refused: {self.code(answer)}")
            brought = read_certificates(parse(answer.body), api_v3_key=self._keys.api_v3_key)
        except (ChannelUnavailable, Malformed, NotDecryptable) as error:
            raise KeysUnavailable(f"the certificates cannot be had: {error}") from None
        now, seal = utc_now(), _Seal.of(answer.headers)
        by_serial = {key.serial: key.key for key in brought if key.holds(now)}
        if seal is None:
            raise KeysUnavailable("the certificates are not signed")
        key = self._keyring.known(seal.serial, now=now) or by_serial.get(seal.serial)
        if key is None:
            raise KeysUnavailable("the certificates are signed with an unknown key")
        if not is_fresh(seal.timestamp, now=now, age_max_s=self._age_max_s):
            raise KeysUnavailable("the certificates are too old, or from the future")
        if not is_signed_by(key, signed_lines(seal.timestamp, seal.nonce, answer.body), seal.signature):
            raise KeysUnavailable("the certificates are not signed by that key")
        return brought

    async def signed(self, *parts: str) -> str:
        """Sign lines for the mini-program with the merchant's key. Raises ChannelUnavailable."""
        try:
            return await signature_text(self._keys.signer, signed_lines(*parts))
        except SigningFailed as error:
            raise self._unavailable("sign", str(error)) from None

    async def encrypted(self, fields: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """Encrypt fields for the platform, and return the serial number to name. Raises ChannelUnavailable."""
        try:
            key = await self._keyring.for_encryption(now=utc_now())
        except KeysUnavailable as error:
            raise self._unavailable("encrypt", str(error)) from None
        return key.serial, {name: encrypt_field(key.key, value) for name, value in fields.items()}

    async def open(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> Envelope:
        """Verify and decrypt a callback. Raises NoticeRefused or NoticeUndecided."""
        seal = _Seal.of(headers)
        try:
            problem = await self._signature_problem(seal, body, now)
        except KeysUnavailable as error:
            raise NoticeUndecided(str(error)) from None
        if seal is None or problem is not None:
            raise NoticeRefused(problem or "unsigned")
        if len(seal.nonce) > NONCE_LENGTH_MAX:
            raise NoticeRefused("the nonce is too long")
        try:
            notice_id, event, document = self._opened(parse(body))
        except (Malformed, NotDecryptable) as error:
            raise NoticeRefused(str(error)) from None
        return Envelope(notice_id, event, document, NoticeNonce.of(seal.serial, seal.nonce, body))

    def _opened(self, envelope: Document) -> tuple[str, str, Document]:
        notice_id, event, resource = text(envelope, "id"), text(envelope, "event_type"), child(envelope, "resource")
        if len(notice_id) > NOTICE_ID_LENGTH_MAX:
            raise Malformed("id is too long")
        if text(resource, "algorithm") != AEAD_ALGORITHM:
            raise Malformed("an unknown algorithm")
        associated_data = resource.get("associated_data") or ""
        if not isinstance(associated_data, str):
            raise Malformed("associated_data is not a text")
        plaintext = decrypt(
            self._keys.api_v3_key,
            text(resource, "ciphertext"),
            nonce=text(resource, "nonce").encode(),
            associated_data=associated_data.encode(),
        )
        return notice_id, event, parse(plaintext)

    async def request(self, method: str, path: str, content: bytes, serial: str) -> httpx.Request:
        """Build a request, signed over exactly what will be sent. Raises SigningFailed."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        # With a platform public key (微信支付公钥) this asks for answers signed by it.
        named = serial or self._keyring.requested_serial
        if named:
            headers["Wechatpay-Serial"] = named
        request = self.client.build_request(method, path, content=content, headers=headers)
        target = request.url.raw_path.decode()
        timestamp, nonce = str(int(utc_now().timestamp())), fresh_nonce()
        message = signed_lines(method, target, timestamp, nonce, content)
        signature = await signature_text(self._keys.signer, message)
        request.headers["Authorization"] = (
            f'{SCHEME} mchid="{self.mchid}",nonce_str="{nonce}",signature="{signature}",'
            f'timestamp="{timestamp}",serial_no="{self._keys.merchant_serial}"'
        )
        return request

    async def _exchange(self, operation: str, method: str, path: str, body: Document | None, serial: str) -> Answer:
        content = orjson.dumps(body) if body is not None else b""
        try:
            return await exchange(
                self.client, lambda: self.request(method, path, content, serial), budget_s=self._timeout_s
            )
        except Unsettled as error:
            raise self._unavailable(operation, error.reason) from None

    async def _signature_problem(self, seal: _Seal | None, body: bytes, now: datetime) -> str | None:
        """Say what is wrong, or nothing. Raises KeysUnavailable."""
        if seal is None:
            return "unsigned"
        if seal.signature.startswith(PROBE_PREFIX):
            return "a probe, whose signature is wrong on purpose"
        if not is_fresh(seal.timestamp, now=now, age_max_s=self._age_max_s):
            return "too old, or from the future"
        key = await self._keyring.find(seal.serial, now=now)
        if key is None:
            return "signed with an unknown key"
        if not is_signed_by(key, signed_lines(seal.timestamp, seal.nonce, body), seal.signature):
            return "the signature does not match"
        return None

    def _unavailable(self, operation: str, reason: str) -> ChannelUnavailable:
        log.warning("wechat_pay.unavailable", operation=operation, reason=reason)
        return ChannelUnavailable(f"{operation}: {reason}")

    def code(self, answer: Answer) -> str:
        """Return the error code of an answer, or nothing."""
        try:
            return text(parse(answer.body), "code")[:CODE_LENGTH_MAX]
        except Malformed:
            return ""

    def raise_if_refused(self, operation: str, answer: Answer) -> None:
        """Raises ChannelRefused, or ChannelUnavailable where no code says that it is a refusal."""
        if not answer.refused:
            return
        code = self.code(answer)
        if not code:
            raise self._unavailable(operation, f"status {answer.status} without a code")
        reason = parse(answer.body).get("message")
        log.warning("wechat_pay.refused", operation=operation, status=answer.status, code=code)
        raise ChannelRefused(code, reason if isinstance(reason, str) else "")

    def read(self, operation: str, answer: Answer, read: Callable[[Document], T]) -> T:
        """Raises ChannelUnavailable for an answer that cannot be read."""
        try:
            return read(parse(answer.body))
        except Malformed as error:
            raise self._unavailable(operation, str(error)) from None

    def assert_about(self, operation: str, *, asked: str, answered: str) -> None:
        """A signature says who answered, not what was asked: an answer about something else settles nothing."""
        if asked != answered:
            raise self._unavailable(operation, "an answer to another question")
