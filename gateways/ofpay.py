"""An aggregator of the ofpay kind (欧飞): forms in, XML in GBK out, requests signed by an MD5 in upper case.

Written after the vendor's 加油卡充值接口 6.0 as partners know it: `onlineorder.do` with
`md5_str = MD5(userid + userpws + cardid + cardnum + sporder_id + sporder_time + game_userid + KeyStr)`, `game_state`
1, 0 and 9, and a callback that nobody signs. The document is not public: the names of the query and of the card check,
and the codes below, are to be compared with the partner's copy before this goes live.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlencode
from uuid import UUID
from xml.etree import ElementTree

import httpx

from domain.cards.ports import (
    CardFacts,
    DepositFacts,
    IssuerHint,
    IssuerNotice,
    IssuerNoticeRefused,
    IssuerOrderState,
    IssuerUnavailable,
    RechargeFacts,
    RechargeRequest,
)
from gateways.aggregators import Aggregator, assert_about, ended_by, known
from gateways.documents import Malformed
from gateways.issuer_answers import (
    FEN_PER_YUAN,
    attempt_of,
    facts,
    fen_of_yuan,
    md5_hex,
    reason_of,
    unavailable,
)
from gateways.issuer_bills import BillFormat
from kernel.clock import SHANGHAI, utc_now
from kernel.states import CardBrand, CardCondition

NAME = "ofpay"
ENCODING = "gbk"
VERSION = "6.0"
DONE = "1"
# 任意充 of each brand, and the vendor's word for the brand.
PRODUCTS = {CardBrand.SINOPEC: ("64127500", "1"), CardBrand.PETROCHINA: ("64349102", "2")}
# Codes that say for certain that nothing was taken on: the deposit is too low, the region or product is shut.
NOT_ACCEPTED = frozenset({"1007", "11", "1004"})
# Codes that say for certain that this card cannot be recharged.
REFUSED = frozenset({"321"})
UNKNOWN_ORDER = "-1"
STATES = {
    "0": IssuerOrderState.PROCESSING,
    "1": IssuerOrderState.SUCCEEDED,
    "9": IssuerOrderState.REFUSED,
}
CONDITIONS = {"0": CardCondition.USABLE, "1": CardCondition.BLOCKED, "2": CardCondition.UNKNOWN_CARD}


@dataclass(frozen=True, slots=True)
class OfpayAccount:
    user_id: str
    password: str = field(repr=False)
    key: str = field(repr=False)

    @property
    def bills(self) -> BillFormat:
        return BillFormat(secret=self.key.encode(), encoding=ENCODING)

    @property
    def password_digest(self) -> str:
        return md5_hex(self.password)


class Ofpay(Aggregator[OfpayAccount]):
    """Implements `domain.cards.ports.CardIssuer`.

    Neither answers nor callbacks are signed, so an end of a recharge is believed only from a query that we made.
    """

    name = NAME
    brands = PRODUCTS
    step_fen = FEN_PER_YUAN
    notice_answer = "Y"

    async def submit(self, request: RechargeRequest) -> RechargeFacts:
        product, charge_type = PRODUCTS[request.brand]
        ordered = {
            "userid": self._account.user_id,
            "userpws": self._account.password_digest,
            "cardid": product,
            "cardnum": str(request.amount_fen // FEN_PER_YUAN),
            "sporder_id": request.attempt_id.hex,
            "sporder_time": f"{utc_now().astimezone(SHANGHAI):%Y%m%d%H%M%S}",
            "game_userid": request.card_number,
        }
        form = {**ordered, "chargeType": charge_type, "ret_url": self._notify_url}
        answer = await self._ask("submit", "sinopec/onlineorder.do", ordered, form, once=True)
        code = answer.get("retcode", "")
        told = facts(request.attempt_id, IssuerOrderState.PROCESSING, amount_fen=request.amount_fen)
        state = ended_by(code, not_accepted=NOT_ACCEPTED, refused=REFUSED)
        if state is not None:
            reason = f"{code} {answer.get('err_msg', '')}"
            return facts(request.attempt_id, state, amount_fen=request.amount_fen, reason=reason)
        if code != DONE or answer.get("sporder_id") != request.attempt_id.hex:
            raise unavailable(self.name, "submit", f"code {code[:8]}")
        if STATES.get(answer.get("game_state", "")) in {None, IssuerOrderState.PROCESSING}:
            return told
        try:
            return await self.query(request.attempt_id)
        except IssuerUnavailable:
            return told

    async def query(self, attempt_id: UUID) -> RechargeFacts:
        ordered = self._signed_in(sporder_id=attempt_id.hex)
        answer = await self._ask("query", "queryOrderInfo.do", ordered, ordered)
        with self._reading("query"):
            return self._read(attempt_id, answer)

    async def balance(self) -> DepositFacts:
        ordered = self._signed_in()
        answer = await self._ask("balance", "queryuserinfo.do", ordered, ordered)
        with self._reading("balance"):
            self._assert_done(answer)
            return DepositFacts(available_fen=fen_of_yuan(answer["ret_leftcredit"], "ret_leftcredit"))

    async def check_card(self, brand: CardBrand, card_number: str) -> CardFacts:
        ordered = self._signed_in(game_userid=card_number, chargeType=PRODUCTS[brand][1])
        answer = await self._ask("check", "sinopec/queryCardInfo.do", ordered, ordered)
        with self._reading("check"):
            self._assert_done(answer)
            return CardFacts(known(CONDITIONS, answer["card_state"], "condition"), answer.get("username", ""))

    async def fetch_bill(self, day: date, into: Path) -> None:
        """Download the bill. Raises IssuerBillNotReady or IssuerBillRefused as well."""
        ordered = self._signed_in(bill_date=f"{day:%Y%m%d}")
        await self._download(lambda: self._request("downloadBill.do", ordered, ordered), into)

    def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> IssuerNotice:
        """Anybody can send a callback, so it only names an attempt. Raises IssuerHint or IssuerNoticeRefused."""
        try:
            (number,) = parse_qs(body.decode(ENCODING), strict_parsing=True)["sporder_id"]
            attempt_id = attempt_of(number, "sporder_id")
        except (ValueError, KeyError):
            raise IssuerNoticeRefused("it names no attempt") from None
        raise IssuerHint(attempt_id)

    def _signed_in(self, **more: str) -> dict[str, str]:
        return {"userid": self._account.user_id, "userpws": self._account.password_digest, **more}

    async def _ask(
        self, operation: str, path: str, ordered: Mapping[str, str], form: Mapping[str, str], *, once: bool = False
    ) -> Elements:
        answer = await self._answer(operation, lambda: self._request(path, ordered, form), once=once)
        with self._reading(operation):
            return _elements(answer.body)

    def _request(self, path: str, ordered: Mapping[str, str], form: Mapping[str, str]) -> httpx.Request:
        signature = md5_hex("".join(ordered.values()) + self._account.key, encoding=ENCODING).upper()
        content = urlencode({**form, "md5_str": signature, "version": VERSION}, encoding=ENCODING)
        headers = {"Content-Type": f"application/x-www-form-urlencoded; charset={ENCODING}"}
        return self._client.build_request("POST", f"/ofpay/{path}", content=content, headers=headers)

    def _read(self, attempt_id: UUID, answer: Mapping[str, str]) -> RechargeFacts:
        self._assert_done(answer)
        assert_about(attempt_id, answer["sporder_id"], "sporder_id")
        if answer["game_state"] == UNKNOWN_ORDER:
            return facts(attempt_id, IssuerOrderState.NOT_FOUND)
        state = known(STATES, answer["game_state"], "state")
        succeeded = state is IssuerOrderState.SUCCEEDED
        return facts(
            attempt_id,
            state,
            amount_fen=fen_of_yuan(answer["cardnum"], "cardnum"),
            issuer_order_id=answer["orderid"],
            cost_fen=fen_of_yuan(answer["ordercash"], "ordercash") if succeeded else None,
            reason=answer.get("err_msg", ""),
        )

    @staticmethod
    def _assert_done(answer: Mapping[str, str]) -> None:
        if answer.get("retcode") != DONE:
            raise Malformed(f"code {reason_of(answer.get('retcode', ''))[:8]}")


class Elements(dict[str, str]):
    """The texts of an answer by their names; one that is missing makes the answer malformed."""

    def __missing__(self, name: str) -> str:
        raise Malformed(f"{name} is missing")


def _elements(body: bytes) -> Elements:
    """Read the elements below the root, in GBK whatever the document declares, as `gb2312` lacks names of people.

    Raises Malformed, for a document type as well, because one could be made to grow without end.
    """
    try:
        text = body.decode(ENCODING)
        if "<!" in text:
            raise Malformed("XML with a declaration of its own")
        root = ElementTree.fromstring(text.partition("?>")[2] if text.startswith("<?xml") else text)  # noqa: S314
    except (UnicodeDecodeError, ElementTree.ParseError):
        raise Malformed("not XML in GBK") from None
    return Elements({element.tag: (element.text or "").strip() for element in root})
