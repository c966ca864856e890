"""An aggregator of the fulu kind (福禄开放平台): one gateway, JSON, and a signature over sorted characters.

Written after the vendor's open platform (https://docs.open.fulu.com/): the signature is the MD5, in lower case, of all
characters of the JSON of the parameters in order, followed by the secret; `result` is JSON in a text. The methods of
card checks and bills, and which codes are definite, are to be compared with the account's own copy before this goes
live.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

import httpx
import orjson

from domain.cards.ports import (
    CardFacts,
    DepositFacts,
    IssuerHint,
    IssuerNotice,
    IssuerNoticeRefused,
    IssuerOrderState,
    RechargeFacts,
    RechargeRequest,
)
from gateways.aggregators import Aggregator, assert_about, ended_by, known
from gateways.documents import Document, Malformed, parse, text, text_or_none
from gateways.issuer_answers import (
    attempt_of,
    facts,
    fen_of_yuan,
    md5_hex,
    same_signature,
    unavailable,
    yuan_of_fen,
)
from gateways.issuer_bills import BillFormat
from kernel.clock import SHANGHAI, utc_now
from kernel.states import CardBrand, CardCondition

NAME = "fulu"
GATEWAY = "/fulu/api/getway"  # the vendor's own spelling
VERSION = "2.0"
PRODUCTS = {CardBrand.SINOPEC: 10005001, CardBrand.PETROCHINA: 10005002}
DONE = 0
# Codes that say for certain that nothing was taken on: the deposit is too low, the product is shut or sold out.
NOT_ACCEPTED = frozenset({3002, 3003, 3005})
# Codes that say for certain that this card cannot be recharged.
REFUSED = frozenset({3010})
UNKNOWN_ORDER = 2103
STATES = {
    "untreated": IssuerOrderState.PROCESSING,
    "processing": IssuerOrderState.PROCESSING,
    "success": IssuerOrderState.SUCCEEDED,
    "failed": IssuerOrderState.REFUSED,
    "refunded": IssuerOrderState.REVERSED,
}
COSTED = frozenset({IssuerOrderState.SUCCEEDED, IssuerOrderState.REVERSED})
CONDITIONS = {"normal": CardCondition.USABLE, "blocked": CardCondition.BLOCKED, "none": CardCondition.UNKNOWN_CARD}


@dataclass(frozen=True, slots=True)
class FuluAccount:
    app_key: str
    secret: str = field(repr=False)

    @property
    def bills(self) -> BillFormat:
        return BillFormat(secret=self.secret.encode())


def signature_of(parameters: Document, secret: str) -> str:
    """Sign parameters as the vendor does: every character of their JSON in order, and the secret behind them."""
    return md5_hex("".join(sorted(orjson.dumps(parameters).decode())) + secret)


class Fulu(Aggregator[FuluAccount]):
    """Implements `domain.cards.ports.CardIssuer`. How a recharge ended is what a query says; callbacks lead to one."""

    name = NAME
    brands = PRODUCTS
    notice_answer = "success"

    async def submit(self, request: RechargeRequest) -> RechargeFacts:
        content: Document = {
            "product_id": PRODUCTS[request.brand],
            "customer_order_no": request.attempt_id.hex,
            "charge_account": request.card_number,
            "buy_num": 1,
            "charge_value": yuan_of_fen(request.amount_fen),
            "notify_url": self._notify_url,
        }
        answer = await self._ask("submit", "fulu.order.direct.add", content, once=True)
        state = ended_by(answer.get("code"), not_accepted=NOT_ACCEPTED, refused=REFUSED)
        if state is None:
            return self._read("submit", request.attempt_id, answer)
        return self._end(request, state, answer, code="code", reason="message")

    async def query(self, attempt_id: UUID) -> RechargeFacts:
        answer = await self._ask("query", "fulu.order.info.get", {"customer_order_no": attempt_id.hex})
        if answer.get("code") == UNKNOWN_ORDER:
            return facts(attempt_id, IssuerOrderState.NOT_FOUND)
        return self._read("query", attempt_id, answer)

    async def balance(self) -> DepositFacts:
        answer = await self._ask("balance", "fulu.user.info.get", {})
        with self._reading("balance"):
            return DepositFacts(available_fen=fen_of_yuan(text(_result(answer), "balance"), "balance"))

    async def check_card(self, brand: CardBrand, card_number: str) -> CardFacts:
        content: Document = {"charge_account": card_number, "product_id": PRODUCTS[brand]}
        answer = await self._ask("check", "fulu.oil.card.get", content)
        with self._reading("check"):
            result = _result(answer)
            condition = known(CONDITIONS, text(result, "card_status"), "condition")
            return CardFacts(condition, text_or_none(result, "owner") or "")

    async def fetch_bill(self, day: date, into: Path) -> None:
        """Download the bill. Raises IssuerBillNotReady or IssuerBillRefused as well."""
        await self._download(lambda: self._request("fulu.bill.get", {"bill_date": day.isoformat()}), into)

    def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> IssuerNotice:
        """Verify a callback. Raises IssuerNoticeRefused where it is forged, and IssuerHint where it is not.

        The signature is over sorted characters, so another order of the same digits, in an amount or a number, would
        verify as well: what the callback says is asked for by a query.
        """
        try:
            document = parse(body)
            given = text(document, "sign")
            signed = {name: value for name, value in document.items() if name != "sign"}
            if not same_signature(signature_of(signed, self._account.secret), given):
                raise IssuerNoticeRefused("the signature does not match")
            attempt_id = attempt_of(text(document, "customer_order_no"), "customer_order_no")
        except Malformed as error:
            raise IssuerNoticeRefused(str(error)) from None
        raise IssuerHint(attempt_id)

    async def _ask(self, operation: str, method: str, content: Document, *, once: bool = False) -> Document:
        """Ask, and return an answer whose signature is good. Raises IssuerUnavailable."""
        answer = await self._answer(operation, lambda: self._request(method, content), once=once)
        with self._reading(operation):
            document = parse(answer.body)
            given = text(document, "sign")
        signed = {name: value for name, value in document.items() if name != "sign"}
        if not same_signature(signature_of(signed, self._account.secret), given):
            raise unavailable(self.name, operation, "the signature does not match")
        return document

    def _request(self, method: str, content: Document) -> httpx.Request:
        parameters: Document = {
            "app_key": self._account.app_key,
            "method": method,
            "timestamp": f"{utc_now().astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}",
            "version": VERSION,
            "format": "json",
            "charset": "utf-8",
            "sign_type": "md5",
            "app_auth_token": "",
            "biz_content": orjson.dumps(content).decode(),
        }
        body = {**parameters, "sign": signature_of(parameters, self._account.secret)}
        return self._client.build_request("POST", GATEWAY, json=body)

    def _read(self, operation: str, attempt_id: UUID, answer: Document) -> RechargeFacts:
        with self._reading(operation):
            result = _result(answer)
            assert_about(attempt_id, text(result, "customer_order_no"), "customer_order_no")
            state = known(STATES, text(result, "order_status"), "state")
            return facts(
                attempt_id,
                state,
                amount_fen=fen_of_yuan(text(result, "charge_value"), "charge_value"),
                issuer_order_id=text(result, "order_id"),
                cost_fen=fen_of_yuan(text(result, "price"), "price") if state in COSTED else None,
                reason=text_or_none(result, "recharge_description") or "",
            )


def _result(answer: Document) -> Document:
    """Read the JSON that the answer carries as a text."""
    if answer.get("code") != DONE:
        raise Malformed(f"code {str(answer.get('code'))[:8]}")
    return parse(text(answer, "result").encode())
