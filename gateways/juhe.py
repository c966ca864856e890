"""An aggregator of the juhe kind (聚合数据): forms in, JSON out, requests and callbacks signed by an MD5 in lower case.

Written after the vendor's 加油卡充值 (https://www.juhe.cn/docs/api/id/87): `sinopec/onlineorder` with
`sign = md5(OpenID + key + proid + cardnum + game_userid + orderid)`, and a callback with `sign = md5(key + sporder_id +
orderid)`. The card check, and which codes are definite, are to be compared with the account's own copy before this goes
live; of the code 10014 the vendor itself says that the order must be asked after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from urllib.parse import parse_qs
from uuid import UUID

import httpx

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
from gateways.documents import Document, Malformed, child, parse, text, text_or_none
from gateways.issuer_answers import (
    FEN_PER_YUAN,
    attempt_of,
    facts,
    fen_of_yuan,
    md5_hex,
    same_signature,
)
from gateways.issuer_bills import BillFormat
from kernel.states import CardBrand, CardCondition

NAME = "juhe"
# 任意充 of each brand, and the vendor's word for the brand.
PRODUCTS = {CardBrand.SINOPEC: ("10007", "1"), CardBrand.PETROCHINA: ("10008", "2")}
DONE = 0
# Codes that say for certain that nothing was taken on: the deposit is too low, or the product is shut.
NOT_ACCEPTED = frozenset({208512, 208513})
# Codes that say for certain that this card cannot be recharged.
REFUSED = frozenset({208501})
UNKNOWN_ORDER = 208505
STATES = {
    "0": IssuerOrderState.PROCESSING,
    "1": IssuerOrderState.SUCCEEDED,
    "9": IssuerOrderState.REFUSED,
}
CONDITIONS = {"normal": CardCondition.USABLE, "blocked": CardCondition.BLOCKED, "none": CardCondition.UNKNOWN_CARD}


@dataclass(frozen=True, slots=True)
class JuheAccount:
    open_id: str = field(repr=False)
    key: str = field(repr=False)

    @property
    def bills(self) -> BillFormat:
        return BillFormat(secret=self.key.encode())


class Juhe(Aggregator[JuheAccount]):
    """Implements `domain.cards.ports.CardIssuer`. How a recharge ended is what a query says; callbacks lead to one."""

    name = NAME
    brands = PRODUCTS
    step_fen = FEN_PER_YUAN
    notice_answer = "success"

    async def submit(self, request: RechargeRequest) -> RechargeFacts:
        product, charge_type = PRODUCTS[request.brand]
        signed = {
            "proid": product,
            "cardnum": str(request.amount_fen // FEN_PER_YUAN),
            "game_userid": request.card_number,
            "orderid": request.attempt_id.hex,
        }
        form = {**signed, "chargeType": charge_type, "notify_url": self._notify_url}
        answer = await self._ask("submit", "onlineorder", signed, form, once=True)
        state = ended_by(answer.get("error_code"), not_accepted=NOT_ACCEPTED, refused=REFUSED)
        if state is None:
            return self._read("submit", request.attempt_id, answer)
        return self._end(request, state, answer, code="error_code", reason="reason")

    async def query(self, attempt_id: UUID) -> RechargeFacts:
        signed = {"orderid": attempt_id.hex}
        answer = await self._ask("query", "ordersta", signed, signed)
        if answer.get("error_code") == UNKNOWN_ORDER:
            return facts(attempt_id, IssuerOrderState.NOT_FOUND)
        return self._read("query", attempt_id, answer)

    async def balance(self) -> DepositFacts:
        answer = await self._ask("balance", "yue", {}, {})
        with self._reading("balance"):
            return DepositFacts(available_fen=fen_of_yuan(text(_result(answer), "money"), "money"))

    async def check_card(self, brand: CardBrand, card_number: str) -> CardFacts:
        signed = {"game_userid": card_number, "chargeType": PRODUCTS[brand][1]}
        answer = await self._ask("check", "cardinfo", signed, signed)
        with self._reading("check"):
            result = _result(answer)
            condition = known(CONDITIONS, text(result, "card_state"), "condition")
            return CardFacts(condition, text_or_none(result, "username") or "")

    async def fetch_bill(self, day: date, into: Path) -> None:
        """Download the bill. Raises IssuerBillNotReady or IssuerBillRefused as well."""
        signed = {"bill_date": day.isoformat()}
        await self._download(lambda: self._request("bill", signed, signed), into)

    def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> IssuerNotice:
        """Verify a callback. Raises IssuerNoticeRefused where it is forged, and IssuerHint where it is not.

        The vendor's signature covers the two numbers and not how it ended: whoever has heard one callback could tell
        another end under it. So the end is what our own query says.
        """
        try:
            given = {name: value for name, (value,) in parse_qs(body.decode(), strict_parsing=True).items()}
            signed = self._account.key + given["sporder_id"] + given["orderid"]
            if not same_signature(md5_hex(signed), given["sign"]):
                raise IssuerNoticeRefused("the signature does not match")
            attempt_id = attempt_of(given["orderid"], "orderid")
        except (ValueError, KeyError):
            raise IssuerNoticeRefused("unreadable") from None
        raise IssuerHint(attempt_id)

    async def _ask(
        self, operation: str, path: str, signed: Mapping[str, str], form: Mapping[str, str], *, once: bool = False
    ) -> Document:
        answer = await self._answer(operation, lambda: self._request(path, signed, form), once=once)
        with self._reading(operation):
            return parse(answer.body)

    def _request(self, path: str, signed: Mapping[str, str], form: Mapping[str, str]) -> httpx.Request:
        signature = md5_hex(self._account.open_id + self._account.key + "".join(signed.values()))
        content = {**form, "key": self._account.key, "sign": signature}
        return self._client.build_request("POST", f"/juhe/ofpay/sinopec/{path}", data=content)

    def _read(self, operation: str, attempt_id: UUID, answer: Document) -> RechargeFacts:
        with self._reading(operation):
            result = _result(answer)
            assert_about(attempt_id, text(result, "uorderid"), "uorderid")
            state = known(STATES, text(result, "game_state"), "state")
            succeeded = state is IssuerOrderState.SUCCEEDED
            return facts(
                attempt_id,
                state,
                amount_fen=fen_of_yuan(text(result, "cardnum"), "cardnum"),
                issuer_order_id=text(result, "sporder_id"),
                cost_fen=fen_of_yuan(text(result, "ordercash"), "ordercash") if succeeded else None,
                reason=text_or_none(result, "err_msg") or "",
            )


def _result(answer: Document) -> Document:
    if answer.get("error_code") != DONE:
        raise Malformed(f"code {str(answer.get('error_code'))[:8]}")
    return child(answer, "result")
