"""The bank of the escrow accounts, by the protocol of docs/funds.md: JSON, signed with RSA by both sides.

Only the states DONE and REFUSED in an answer that the bank has signed settle a transfer. Whatever else comes, a 4xx
included, leaves it unknown; the reference makes it safe to ask and to send again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote

import httpx
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from domain.payments.banks import Arrival, BankTransfer, BankTransferFacts, BankTransferState, BankUnavailable
from gateways.documents import Document, Malformed, fen, parse, text, text_or_none
from gateways.exchange import Answer, Unsettled, exchange
from gateways.signing import Signer, fresh_nonce, is_fresh, is_signed_by, signature_text, signed_lines
from kernel.clock import utc_now
from kernel.logs import get_logger

TRANSFERS = "/bank/v1/transfers"
ARRIVALS = "/bank/v1/arrivals"
CUSTOMER_HEADER, TIMESTAMP_HEADER, NONCE_HEADER, SIGNATURE_HEADER = (
    "X-Bank-Customer",
    "X-Bank-Timestamp",
    "X-Bank-Nonce",
    "X-Bank-Signature",
)
NOT_FOUND = 404
UNKNOWN_TRANSFER, UNKNOWN_ARRIVAL = "TRANSFER_NOT_FOUND", "ARRIVAL_NOT_FOUND"
STATES = {
    "PENDING": BankTransferState.PENDING,
    "DONE": BankTransferState.DONE,
    "REFUSED": BankTransferState.REFUSED,
}
REASON_LENGTH_MAX = 200

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BankKeys:
    signer: Signer = field(repr=False)
    bank_key: RSAPublicKey


class EnterpriseBank:
    """Implements `domain.payments.banks.Bank`."""

    def __init__(
        self, *, client: httpx.AsyncClient, keys: BankKeys, customer_id: str, timeout_s: float, age_max_s: int
    ) -> None:
        self._client, self._keys, self._customer_id = client, keys, customer_id
        self._timeout_s, self._age_max_s = timeout_s, age_max_s

    async def send(self, transfer: BankTransfer) -> BankTransferFacts:
        body: Document = {
            "reference": transfer.reference,
            "source": transfer.source,
            "target": transfer.target,
            "amount_fen": transfer.amount_fen,
        }
        if transfer.payee_account:
            body["payee"] = {
                "name": transfer.payee_name,
                "bank_code": transfer.payee_bank_code,
                "account": transfer.payee_account,
            }
        return self._read(await self._ask("POST", TRANSFERS, body), transfer.reference)

    async def query(self, reference: str) -> BankTransferFacts:
        answer = await self._ask("GET", f"{TRANSFERS}/{quote(reference, safe='')}", None)
        if answer.status == NOT_FOUND and _code(answer) == UNKNOWN_TRANSFER:
            return BankTransferFacts(reference, BankTransferState.NOT_FOUND, 0, "", "")
        return self._read(answer, reference)

    async def arrival(self, reference: str) -> Arrival | None:
        answer = await self._ask("GET", f"{ARRIVALS}/{quote(reference, safe='')}", None)
        if answer.status == NOT_FOUND and _code(answer) == UNKNOWN_ARRIVAL:
            return None
        document = self._document(answer, reference)
        try:
            return Arrival(reference, text(document, "bank_reference"), fen(document, "amount_fen"))
        except Malformed as error:
            raise _unknown(str(error)) from None

    async def _ask(self, method: str, target: str, body: Document | None) -> Answer:
        """Ask, and return an answer that the bank has signed for this very question."""
        content = orjson.dumps(body) if body is not None else b""

        async def build() -> httpx.Request:
            timestamp, nonce = str(int(utc_now().timestamp())), fresh_nonce()
            request = self._client.build_request(
                method, target, content=content, headers={"Content-Type": "application/json"}
            )
            message = signed_lines(method, request.url.raw_path, timestamp, nonce, content)
            request.headers[CUSTOMER_HEADER] = self._customer_id
            request.headers[TIMESTAMP_HEADER], request.headers[NONCE_HEADER] = timestamp, nonce
            request.headers[SIGNATURE_HEADER] = await signature_text(self._keys.signer, message)
            return request

        try:
            answer = await exchange(self._client, build, budget_s=self._timeout_s)
        except Unsettled as error:
            raise _unknown(str(error)) from None
        timestamp = answer.headers.get(TIMESTAMP_HEADER, "")
        message = signed_lines(answer.sent[NONCE_HEADER], timestamp, str(answer.status), answer.body)
        if not is_signed_by(self._keys.bank_key, message, answer.headers.get(SIGNATURE_HEADER, "")):
            raise _unknown("the answer is not signed by the bank")
        if not is_fresh(timestamp, now=utc_now(), age_max_s=self._age_max_s):
            raise _unknown("the answer is not of this moment")
        return answer

    def _read(self, answer: Answer, reference: str) -> BankTransferFacts:
        document = self._document(answer, reference)
        try:
            state = STATES.get(text(document, "state"))
            if state is None:
                raise Malformed("state is none that is known")
            reason = (text_or_none(document, "reason") or "")[:REASON_LENGTH_MAX]
            return BankTransferFacts(
                reference, state, fen(document, "amount_fen"), text(document, "bank_reference"), reason
            )
        except Malformed as error:
            raise _unknown(str(error)) from None

    def _document(self, answer: Answer, reference: str) -> Document:
        """Return what is said of the reference. Raises BankUnavailable."""
        if answer.refused:
            raise _unknown(f"status {answer.status}, code {_code(answer)}")
        try:
            document = parse(answer.body)
            if text(document, "reference") != reference:
                raise Malformed("reference is another one than was asked for")
        except Malformed as error:
            raise _unknown(str(error)) from None
        return document


def _code(answer: Answer) -> str:
    try:
        return text(parse(answer.body), "code")[:64]
    except Malformed:
        return ""


def _unknown(reason: str) -> BankUnavailable:
    log.warning("bank.unavailable", reason=reason)
    return BankUnavailable(reason)
