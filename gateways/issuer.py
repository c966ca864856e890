"""The card issuer's recharge protocol, version 1: see docs/issuer-protocol.md."""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

import httpx
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from domain.cards.ports import (
    CardFacts,
    DepositFacts,
    IssuerBillLine,
    IssuerNotice,
    IssuerNoticeRefused,
    IssuerOrderState,
    IssuerUnavailable,
    RechargeFacts,
    RechargeRequest,
)
from gateways.documents import Document, Malformed, child, fen, parse, text, text_or_none
from gateways.exchange import Answer, Unsettled, exchange
from gateways.issuer_answers import quoted_fen
from gateways.issuer_bills import BillFormat, download
from gateways.signing import (
    AEAD_ALGORITHM,
    GCM_NONCE_SIZE_BYTES,
    NotDecryptable,
    Signer,
    decrypt,
    encrypt,
    fresh_nonce,
    is_fresh,
    is_signed_by,
    signature_text,
    signed_lines,
)
from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.states import CardBrand, CardCondition

NAME = "card_issuer"
RECHARGES = "/issuer/v1/recharges"
DEPOSIT = "/issuer/v1/deposit"
CARD_CHECKS = "/issuer/v1/card-checks"
BILLS = "/issuer/v1/bills"
NOT_FOUND = 404
UNKNOWN_RECHARGE = "RECHARGE_NOT_FOUND"
NOTICE_ID_LENGTH_MAX = 64
REASON_LENGTH_MAX = 200
EVENTS = {
    "RECHARGE.SUCCEEDED": IssuerOrderState.SUCCEEDED,
    "RECHARGE.REFUSED": IssuerOrderState.REFUSED,
    "RECHARGE.REVERSED": IssuerOrderState.REVERSED,
    "RECHARGE.NOT_ACCEPTED": IssuerOrderState.NOT_ACCEPTED,
}
STATES = {
    "PROCESSING": IssuerOrderState.PROCESSING,
    "SUCCEEDED": IssuerOrderState.SUCCEEDED,
    "REFUSED": IssuerOrderState.REFUSED,
    "REVERSED": IssuerOrderState.REVERSED,
    "NOT_ACCEPTED": IssuerOrderState.NOT_ACCEPTED,
}
# In these the issuer has moved money of ours, and says how much.
COSTED_STATES = frozenset({IssuerOrderState.SUCCEEDED, IssuerOrderState.REVERSED})

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IssuerKeys:
    signer: Signer = field(repr=False)
    issuer_key: RSAPublicKey
    secret: bytes = field(repr=False)


class Issuer:
    """Implements `domain.cards.ports.CardIssuer`.

    Only the states SUCCEEDED, REFUSED and REVERSED in a signed answer settle a recharge. Whatever else comes, a 4xx
    included, leaves it unknown; `attempt_id` makes it safe to ask and to send again.
    """

    name = NAME
    notice_answer = ""

    def __init__(
        self,
        *,
        client: httpx.AsyncClient,
        keys: IssuerKeys,
        partner_id: str,
        notify_url: str,
        prices: Mapping[str, int],
        timeout_s: float,
        age_max_s: int,
        bill_size_max_bytes: int,
    ) -> None:
        self._client, self._keys, self._partner_id, self._notify_url = client, keys, partner_id, notify_url
        self._prices, self._timeout_s, self._age_max_s = prices, timeout_s, age_max_s
        self._bill_size_max_bytes = bill_size_max_bytes
        self._bills = BillFormat(secret=keys.secret, digest="sha256")

    def cost_fen(self, brand: CardBrand, amount_fen: int) -> int | None:
        return quoted_fen(self._prices, brand, amount_fen)

    async def submit(self, request: RechargeRequest) -> RechargeFacts:
        attempt_id = str(request.attempt_id)
        body = {
            "attempt_id": attempt_id,
            "brand": request.brand.value,
            "card_number": self._seal(request.card_number.encode(), associated_data=attempt_id.encode()),
            "amount_fen": request.amount_fen,
            "notify_url": self._notify_url,
        }
        answer = await self._ask("submit", "POST", RECHARGES, body)
        return self._read("submit", answer, request.attempt_id)

    async def query(self, attempt_id: UUID) -> RechargeFacts:
        """NOT_FOUND says that the issuer never saw the attempt, so that it may be sent again under the same id."""
        answer = await self._ask("query", "GET", f"{RECHARGES}/{attempt_id}", None)
        if answer.status == NOT_FOUND and _code(answer) == UNKNOWN_RECHARGE:
            return RechargeFacts(
                attempt_id=attempt_id,
                state=IssuerOrderState.NOT_FOUND,
                issuer_order_id=None,
                amount_fen=0,
                cost_fen=None,
                reason="",
            )
        return self._read("query", answer, attempt_id)

    async def balance(self) -> DepositFacts:
        answer = await self._ask("balance", "GET", DEPOSIT, None)
        try:
            return DepositFacts(available_fen=fen(self._judged("balance", answer), "available_fen"))
        except Malformed as error:
            raise self._unavailable("balance", str(error)) from None

    async def check_card(self, brand: CardBrand, card_number: str) -> CardFacts:
        reference = fresh_nonce()
        body = {
            "reference": reference,
            "brand": brand.value,
            "card_number": self._seal(card_number.encode(), associated_data=reference.encode()),
        }
        answer = await self._ask("check", "POST", CARD_CHECKS, body)
        try:
            document = self._judged("check", answer)
            if text(document, "reference") != reference:
                raise Malformed("an answer about another card")
            return CardFacts(CardCondition(text(document, "condition")), text_or_none(document, "owner") or "")
        except ValueError as error:
            raise self._unavailable("check", str(error)) from None

    async def fetch_bill(self, day: date, into: Path) -> None:
        """Download the bill. Raises IssuerBillNotReady or IssuerBillRefused as well."""
        await download(
            self._client,
            lambda: self._request("GET", f"{BILLS}/{day.isoformat()}", b""),
            into=into,
            issuer=self.name,
            timeout_s=self._timeout_s,
            size_max_bytes=self._bill_size_max_bytes,
        )

    def read_bill(self, path: Path) -> Iterator[IssuerBillLine]:
        return self._bills.read(path)

    def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> IssuerNotice:
        """Verify, decrypt and read a callback. Raises IssuerNoticeRefused.

        The same delivery opens to the same `notice_id` every time; whoever stores notices uniquely by it is safe from
        replays.
        """
        problem = self._signature_problem(headers, body, now)
        if problem is not None:
            raise IssuerNoticeRefused(problem)
        try:
            return self._read_notice(parse(body))
        except (Malformed, NotDecryptable) as error:
            raise IssuerNoticeRefused(str(error)) from None

    def _read_notice(self, envelope: Document) -> IssuerNotice:
        notice_id, event = text(envelope, "id"), text(envelope, "event_type")
        if len(notice_id) > NOTICE_ID_LENGTH_MAX:
            raise Malformed("id is too long")
        if event not in EVENTS:
            raise Malformed("an unknown event")
        document = parse(self._unseal(child(envelope, "resource")))
        if text(document, "partner_id") != self._partner_id:
            raise Malformed("a recharge of another partner")
        facts = read_recharge(document)
        if facts.state is not EVENTS[event]:
            raise Malformed("a notice that contradicts itself")
        return IssuerNotice(notice_id=notice_id, recharge=facts)

    def _seal(self, plaintext: bytes, *, associated_data: bytes) -> Document:
        nonce = secrets.token_bytes(GCM_NONCE_SIZE_BYTES)
        return {
            "algorithm": AEAD_ALGORITHM,
            "nonce": b64encode(nonce).decode(),
            "associated_data": associated_data.decode(),
            "ciphertext": encrypt(self._keys.secret, plaintext, nonce=nonce, associated_data=associated_data),
        }

    def _unseal(self, sealed: Document) -> bytes:
        if text(sealed, "algorithm") != AEAD_ALGORITHM:
            raise Malformed("an unknown algorithm")
        try:
            nonce = b64decode(text(sealed, "nonce"), validate=True)
        except (Base64Error, ValueError):
            raise Malformed("nonce is not base 64") from None
        return decrypt(
            self._keys.secret,
            text(sealed, "ciphertext"),
            nonce=nonce,
            associated_data=text(sealed, "associated_data").encode(),
        )

    async def _ask(self, operation: str, method: str, path: str, body: Document | None) -> Answer:
        """Send, and return an answer of which the signature is good. Raises IssuerUnavailable."""
        content = orjson.dumps(body) if body is not None else b""
        try:
            answer = await exchange(
                self._client, lambda: self._request(method, path, content), budget_s=self._timeout_s
            )
        except Unsettled as error:
            raise self._unavailable(operation, error.reason) from None
        problem = self._signature_problem(answer.headers, answer.body, utc_now())
        if problem is None and answer.headers["Issuer-Nonce"] != answer.sent["Issuer-Nonce"]:
            problem = "an answer to another question"
        if problem is not None:
            log.error("issuer.answer_unverified", operation=operation, status=answer.status, said=_code(answer))
            raise self._unavailable(operation, problem)
        return answer

    async def _request(self, method: str, path: str, content: bytes) -> httpx.Request:
        """Build a request, signed over exactly what will be sent. Raises SigningFailed."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        request = self._client.build_request(method, path, content=content, headers=headers)
        target = request.url.raw_path.decode()
        timestamp, nonce = str(int(utc_now().timestamp())), fresh_nonce()
        message = signed_lines(method, target, timestamp, nonce, content)
        request.headers["Issuer-Partner"] = self._partner_id
        request.headers["Issuer-Timestamp"] = timestamp
        request.headers["Issuer-Nonce"] = nonce
        request.headers["Issuer-Signature"] = await signature_text(self._keys.signer, message)
        return request

    def _signature_problem(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str | None:
        named = {name.lower(): value for name, value in headers.items()}
        signature = named.get("issuer-signature", "")
        timestamp, nonce = named.get("issuer-timestamp", ""), named.get("issuer-nonce", "")
        if not (signature and timestamp and nonce):
            return "unsigned"
        if not is_fresh(timestamp, now=now, age_max_s=self._age_max_s):
            return "too old, or from the future"
        if not is_signed_by(self._keys.issuer_key, signed_lines(timestamp, nonce, body), signature):
            return "the signature does not match"
        return None

    def _judged(self, operation: str, answer: Answer) -> Document:
        if answer.refused:
            raise self._unavailable(operation, f"status {answer.status} {_code(answer)}".rstrip())
        return parse(answer.body)

    def _read(self, operation: str, answer: Answer, attempt_id: UUID) -> RechargeFacts:
        if answer.refused:
            # The request was not accepted as a request; whether an earlier one was is another question.
            raise self._unavailable(operation, f"status {answer.status} {_code(answer)}".rstrip())
        try:
            facts = read_recharge(parse(answer.body))
        except Malformed as error:
            raise self._unavailable(operation, str(error)) from None
        if facts.attempt_id != attempt_id:
            raise self._unavailable(operation, "an answer about another recharge")
        return facts

    def _unavailable(self, operation: str, reason: str) -> IssuerUnavailable:
        log.warning("issuer.unavailable", operation=operation, reason=reason)
        return IssuerUnavailable(f"{operation}: {reason}")


def read_recharge(document: Document) -> RechargeFacts:
    """Read a recharge, of an answer or of a callback. One that moved money must say how much. Raises Malformed."""
    state = STATES.get(text(document, "state"))
    if state is None:
        raise Malformed("an unknown state")
    try:
        attempt_id = UUID(text(document, "attempt_id"))
    except ValueError:
        raise Malformed("attempt_id is not a UUID") from None
    return RechargeFacts(
        attempt_id=attempt_id,
        state=state,
        issuer_order_id=text(document, "issuer_order_id"),
        amount_fen=fen(document, "amount_fen"),
        cost_fen=fen(document, "cost_fen") if state in COSTED_STATES else None,
        reason=(text_or_none(document, "reason") or "")[:REASON_LENGTH_MAX],
    )


def _code(answer: Answer) -> str:
    try:
        return text(parse(answer.body), "code")[:NOTICE_ID_LENGTH_MAX]
    except Malformed:
        return ""
