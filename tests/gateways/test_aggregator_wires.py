"""The vendors' wire formats, byte by byte: what is signed, with hashes of strings that are written out here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import httpx
import pytest

from domain.cards.ports import CardIssuer, IssuerHint, IssuerNoticeRefused, IssuerOrderState, IssuerUnavailable
from gateways.fulu import Fulu, FuluAccount, signature_of
from gateways.juhe import REFUSED as JUHE_REFUSED
from gateways.juhe import Juhe, JuheAccount
from gateways.ofpay import Ofpay, OfpayAccount
from tests.gateways.stand_ins import CARD_NUMBER, create_recharge, now

ATTEMPT = UUID("0195f0a0-0000-7000-8000-000000000001")
HEX = "0195f0a0000070008000000000000001"
NOTIFY = "https://house.example/callbacks/issuer/x"
SHARED = {"notify_url": NOTIFY, "prices": {"SINOPEC": 9_960}, "timeout_s": 1.0, "bill_size_max_bytes": 10_000}
Answer = Callable[[httpx.Request], httpx.Response]


def md5(text: str) -> str:
    return hashlib.md5(text.encode("gbk"), usedforsecurity=False).hexdigest()


def client(answer: Answer) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url="https://vendor.example", transport=httpx.MockTransport(answer))


def ofpay(answer: Answer = lambda _request: httpx.Response(404)) -> Ofpay:
    return Ofpay(client=client(answer), account=OfpayAccount("A08", "of111111", "OFCARD"), **SHARED)  # type: ignore[arg-type]


def juhe(answer: Answer = lambda _request: httpx.Response(404)) -> Juhe:
    return Juhe(client=client(answer), account=JuheAccount("JH1", "key1"), **SHARED)  # type: ignore[arg-type]


def fulu(answer: Answer = lambda _request: httpx.Response(404)) -> Fulu:
    return Fulu(client=client(answer), account=FuluAccount("app", "s3cret"), **SHARED)  # type: ignore[arg-type]


async def sent_by(make: Callable[[Answer], CardIssuer]) -> httpx.Request:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(404)

    with pytest.raises(IssuerUnavailable):
        await make(answer).submit(create_recharge(attempt_id=ATTEMPT))
    (request,) = seen
    return request


class TestRequests:
    async def test_of_the_ofpay_kind(self) -> None:
        request = await sent_by(ofpay)
        form = dict(parse_qsl(request.content.decode(), encoding="gbk"))
        assert request.url.path == "/ofpay/sinopec/onlineorder.do"
        assert form["userpws"] == "4c625b7861a92c7971cd2029c2fd3c4a"
        signed = "A08" + form["userpws"] + "64127500" + "500" + HEX + form["sporder_time"] + CARD_NUMBER + "OFCARD"
        assert form["md5_str"] == md5(signed).upper()
        assert (form["version"], form["chargeType"], form["ret_url"]) == ("6.0", "1", NOTIFY)
        assert len(form["sporder_time"]) == 14

    async def test_of_the_juhe_kind(self) -> None:
        request = await sent_by(juhe)
        form = dict(parse_qsl(request.content.decode()))
        assert request.url.path == "/juhe/ofpay/sinopec/onlineorder"
        assert form["sign"] == md5(f"JH1key110007500{CARD_NUMBER}{HEX}")
        assert (form["proid"], form["cardnum"], form["orderid"], form["key"]) == ("10007", "500", HEX, "key1")

    async def test_of_the_fulu_kind(self) -> None:
        request = await sent_by(fulu)
        body = json.loads(request.content)
        given = body.pop("sign")
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
        assert given == md5("".join(sorted(text)) + "s3cret")
        assert (body["method"], body["app_key"], body["version"]) == ("fulu.order.direct.add", "app", "2.0")
        assert json.loads(body["biz_content"])["charge_value"] == "500.00"

    def test_a_signature_over_sorted_characters(self) -> None:
        assert signature_of({"b": "2", "a": 1}, "s") == md5('"""""",12::ab{}s')


class TestAnswers:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<a",
            "<orderinfo><retcode>1</retcode></orderinfo>".encode("utf-16"),
            b'<!DOCTYPE a [<!ENTITY b "c">]><orderinfo><retcode>&b;</retcode></orderinfo>',
            b"<orderinfo><retcode>1</retcode><sporder_id>another</sporder_id><game_state>1</game_state></orderinfo>",
            b"<orderinfo><retcode>1007x</retcode></orderinfo>",
        ],
    )
    async def test_of_the_ofpay_kind_that_settle_nothing(self, body: bytes) -> None:
        issuer = ofpay(lambda _request: httpx.Response(200, content=body))
        with pytest.raises(IssuerUnavailable):
            await issuer.submit(create_recharge(attempt_id=ATTEMPT))
        with pytest.raises(IssuerUnavailable):
            await issuer.query(ATTEMPT)

    async def test_of_the_ofpay_kind_a_success_is_asked_for_once_more(self) -> None:
        paths: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            paths.append(request.url.path)
            state = "1" if request.url.path.endswith("onlineorder.do") else "0"
            inner = f"<retcode>1</retcode><sporder_id>{HEX}</sporder_id><game_state>{state}</game_state>"
            more = "<orderid>S1</orderid><cardnum>500</cardnum><ordercash>498.00</ordercash><cardname>中石化</cardname>"
            text = f'<?xml version="1.0" encoding="gb2312"?><orderinfo>{inner}{more}</orderinfo>'
            return httpx.Response(200, content=text.encode("gbk"))

        facts = await ofpay(answer).submit(create_recharge(attempt_id=ATTEMPT))
        assert facts.state is IssuerOrderState.PROCESSING
        assert paths == ["/ofpay/sinopec/onlineorder.do", "/ofpay/queryOrderInfo.do"]

    @pytest.mark.parametrize(
        "body",
        [
            b"null",
            b"{}",
            b'{"error_code": "0"}',
            b'{"error_code": 0, "result": {}}',
            b'{"error_code": []}',
            b'{"error_code": {}, "reason": 1}',
        ],
    )
    async def test_of_the_juhe_kind_that_settle_nothing(self, body: bytes) -> None:
        issuer = juhe(lambda _request: httpx.Response(200, content=body))
        with pytest.raises(IssuerUnavailable):
            await issuer.submit(create_recharge(attempt_id=ATTEMPT))
        with pytest.raises(IssuerUnavailable):
            await issuer.query(ATTEMPT)

    @pytest.mark.parametrize("answer", [{"code": [], "result": ""}, {"code": {}, "message": 1, "result": ""}])
    async def test_of_the_fulu_kind_that_settle_nothing(self, answer: dict[str, object]) -> None:
        body = {**answer, "sign": signature_of(answer, "s3cret")}
        issuer = fulu(lambda _request: httpx.Response(200, json=body))
        with pytest.raises(IssuerUnavailable):
            await issuer.submit(create_recharge(attempt_id=ATTEMPT))
        with pytest.raises(IssuerUnavailable):
            await issuer.query(ATTEMPT)

    async def test_a_definite_code_with_a_reason_that_is_no_text_settles_nothing(self) -> None:
        answer = {"error_code": min(JUHE_REFUSED), "reason": ["?"]}
        issuer = juhe(lambda _request: httpx.Response(200, json=answer))
        with pytest.raises(IssuerUnavailable):
            await issuer.submit(create_recharge(attempt_id=ATTEMPT))

    async def test_of_the_fulu_kind_with_another_signature(self) -> None:
        answer = {"code": 3005, "message": "余额不足", "result": ""}
        body = {**answer, "sign": signature_of(answer, "another")}
        with pytest.raises(IssuerUnavailable, match="signature"):
            await fulu(lambda _request: httpx.Response(200, json=body)).submit(create_recharge())

    async def test_a_number_that_looks_like_a_card_stays_out_of_reasons(self) -> None:
        text = f"<orderinfo><retcode>1007</retcode><err_msg>卡号{CARD_NUMBER}余额不足</err_msg></orderinfo>"
        issuer = ofpay(lambda _request: httpx.Response(200, content=text.encode("gbk")))
        facts = await issuer.submit(create_recharge(attempt_id=ATTEMPT))
        assert facts.state is IssuerOrderState.NOT_ACCEPTED
        assert facts.reason == "1007 卡号***余额不足"


def opened(issuer: CardIssuer, body: bytes) -> UUID:
    with pytest.raises(IssuerHint) as hint:
        issuer.open_notice(headers={}, body=body, now=now())
    return hint.value.attempt_id


class TestCallbacks:
    """None of them says how a recharge ended: they name an attempt, which is asked after."""

    def test_of_the_ofpay_kind_anybody_can_send_one(self) -> None:
        assert opened(ofpay(), f"ret_code=1&sporder_id={HEX}".encode()) == ATTEMPT

    @pytest.mark.parametrize("body", [b"", b"\xff\xff", b"ret_code=1", b"sporder_id=1", b"&sporder_id=2" * 2])
    def test_of_the_ofpay_kind_one_without_a_number(self, body: bytes) -> None:
        with pytest.raises(IssuerNoticeRefused):
            ofpay().open_notice(headers={}, body=body, now=now())

    def test_of_the_juhe_kind_it_is_signed(self) -> None:
        told = {"sporder_id": "J1", "orderid": HEX, "sta": "1"}
        assert opened(juhe(), urlencode({**told, "sign": md5(f"key1J1{HEX}")}).encode()) == ATTEMPT
        for sign in (md5(f"key2J1{HEX}"), md5(f"key1J1{HEX}").upper(), ""):
            with pytest.raises(IssuerNoticeRefused):
                juhe().open_notice(headers={}, body=urlencode({**told, "sign": sign}).encode(), now=now())

    def test_of_the_fulu_kind_it_is_signed(self) -> None:
        told = {"customer_order_no": HEX, "order_status": "success", "price": "498.00"}
        text = json.dumps(told, separators=(",", ":"))
        signed = {**told, "sign": md5("".join(sorted(text)) + "s3cret")}
        assert opened(fulu(), json.dumps(signed).encode()) == ATTEMPT
        for lie in ({"order_status": "failed"}, {"sign": "0" * 32}, {"customer_order_no": ""}):
            with pytest.raises(IssuerNoticeRefused):
                fulu().open_notice(headers={}, body=json.dumps({**signed, **lie}).encode(), now=now())
