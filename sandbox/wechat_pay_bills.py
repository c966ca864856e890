"""Trade bills as WeChat Pay writes them, of any day up to and with today, so that nobody has to wait for tomorrow."""

from __future__ import annotations

import gzip
import hashlib
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kernel.clock import SHANGHAI, utc_now
from sandbox.answers import Refused
from sandbox.crypto import random_digits, random_text
from sandbox.store import Document, Kind, Store
from sandbox.wechat_pay_desk import Desk

DOWNLOAD = "/v3/billdownload/file"
HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,"
    "手续费,费率,订单金额,申请退款金额,费率备注"
)
SUMMARY = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
FEE_BASIS_POINTS = 60
BASIS_POINTS = 10_000
FAULTS = frozenset({"omit", "extra", "drift", "altered", "cut_off", "sums", "other_day"})
BILLS_MAX = 32
ALL_LINES_MAX = 1_000_000


class WeChatPayBillsSandbox:
    """Bills wait in memory for their download; a restart forgets them, and asking again makes them anew."""

    def __init__(self, *, desk: Desk, store: Store) -> None:
        self._desk, self._store = desk, store
        self._made: dict[str, bytes] = {}

    def routes(self) -> list[Route]:
        return [
            Route("/v3/bill/tradebill", self._desk.signed(self._ask), methods=["GET"]),
            Route(DOWNLOAD, self._download, methods=["GET"]),
        ]

    async def _ask(self, request: Request, _given: Document) -> Document:
        merchant = self._desk.merchant(dict(request.query_params), sp=False)
        self._desk.fail_if_asked("bill", merchant)
        if request.query_params.get("tar_type") != "GZIP" or request.query_params.get("bill_type", "ALL") != "ALL":
            raise Refused(400, "PARAM_ERROR", "沙箱只提供 GZIP 压缩的 ALL 账单")
        day = self._day(request.query_params.get("bill_date", ""))
        if self._desk.asked_for("not_ready", "bill", merchant):
            raise Refused(400, "STATEMENT_CREATING", "账单生成中，请稍后再试")
        rows = self._rows(day, merchant)
        if not rows:
            raise Refused(400, "NO_STATEMENT_EXIST", "账单文件不存在")
        fault = self._desk.one_of(FAULTS, "bill", merchant)
        plain = _text(_with_fault(rows, fault), fault).encode()
        digest = hashlib.sha1(plain).hexdigest()  # noqa: S324 -- the protocol's digest.
        if fault == "altered":
            plain = plain.replace(b"SUCCESS", b"SUCCES5", 1)
        token = random_text(40)
        self._made[token] = gzip.compress(plain)
        while len(self._made) > BILLS_MAX:
            del self._made[next(iter(self._made))]
        base = urlsplit(str(request.url))
        return {
            "hash_type": "SHA1",
            "hash_value": digest,
            "download_url": f"{base.scheme}://{base.netloc}{DOWNLOAD}?token={token}&tartype=gzip",
        }

    async def _download(self, request: Request) -> Response:
        """Hand out a file. The request is signed; the answer is not, its digest was."""
        if not self._desk.is_signed(request, b""):
            return Response(status_code=401)
        packed = self._made.get(request.query_params.get("token", ""))
        return Response(packed, media_type="application/octet-stream") if packed else Response(status_code=404)

    def _day(self, value: str) -> date:
        try:
            day = date.fromisoformat(value)
        except ValueError:
            raise Refused(400, "PARAM_ERROR", "bill_date 不是日期") from None
        if day > utc_now().astimezone(SHANGHAI).date():
            raise Refused(400, "INVALID_REQUEST", "账单日期超出范围")
        return day

    def _rows(self, day: date, merchant: str) -> list[Document]:
        paid = [
            _row(self._desk, trade, None)
            for trade in self._store.newest(Kind.TRADE, ALL_LINES_MAX)
            if trade["transaction_id"] and trade["sub_mchid"] == merchant and _is_of(trade["success_time"], day)
        ]
        for refund in self._store.newest(Kind.REFUND, ALL_LINES_MAX):
            trade = self._store.get(Kind.TRADE, refund["out_trade_no"])
            if trade and refund["sub_mchid"] == merchant and _is_of(refund["create_time"], day):
                paid.append(_row(self._desk, trade, refund))
        # Times are whole seconds, and of those in one second the newest is to be last as well.
        paid.reverse()
        return sorted(paid, key=lambda row: str(row["交易时间"]))


def _is_of(moment: str | None, day: date) -> bool:
    return moment is not None and datetime.fromisoformat(moment).astimezone(SHANGHAI).date() == day


def _yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def _row(desk: Desk, trade: Document, refund: Document | None) -> Document:
    """Return a payment, or a refund of it, by the names of the columns; amounts are fen until they are written."""
    total, back = trade["total"], refund["refund"] if refund else 0
    fee = -round(back * FEE_BASIS_POINTS / BASIS_POINTS) if refund else round(total * FEE_BASIS_POINTS / BASIS_POINTS)
    moment = datetime.fromisoformat(refund["create_time"] if refund else trade["success_time"]).astimezone(SHANGHAI)
    values = {
        "交易时间": f"{moment:%Y-%m-%d %H:%M:%S}",
        "公众账号ID": desk.settings.wechat_pay_sp_appid,
        "商户号": desk.settings.wechat_pay_sp_mchid,
        "特约商户号": trade["sub_mchid"],
        "微信订单号": trade["transaction_id"],
        "商户订单号": trade["out_trade_no"],
        "用户标识": trade["openid"],
        "交易类型": "JSAPI",
        "交易状态": "REFUND" if refund else "SUCCESS",
        "付款银行": "OTHERS",
        "货币种类": "CNY",
        "应结订单金额": 0 if refund else total,
        "代金券金额": 0,
        "微信退款单号": refund["refund_id"] if refund else "0",
        "商户退款单号": refund["out_refund_no"] if refund else "0",
        "退款金额": back,
        "充值券退款金额": 0,
        "退款类型": "ORIGINAL" if refund else "",
        "退款状态": refund["status"] if refund else "",
        "商品名称": trade["description"],
        "手续费": fee,
        "费率": "0.60%",
        "订单金额": 0 if refund else total,
        "申请退款金额": back,
    }
    return {name: values.get(name, "") for name in HEADER.split(",")}


def _with_fault(rows: list[Document], fault: str) -> list[Document]:
    """Return the lines of a bill that is false and true to itself; it is wrong of the newest payment."""
    newest = max((index for index, row in enumerate(rows) if row["订单金额"]), default=None)
    if newest is None:
        return rows
    before, row, after = rows[:newest], rows[newest], rows[newest + 1 :]
    if fault == "omit":
        return [*before, *after]
    if fault == "extra":
        stray = {"微信订单号": f"4200{random_digits(24)}", "商户订单号": f"STRAY{random_digits(20)}"}
        return [*rows, {**row, **stray}]
    if fault == "drift":
        more = {name: row[name] + 1 for name in ("订单金额", "应结订单金额")}
        return [*before, {**row, **more}, *after]
    if fault == "other_day":
        return [{**row, "交易时间": _day_before(row["交易时间"])} for row in rows]
    return rows


def _day_before(moment: str) -> str:
    return f"{datetime.fromisoformat(moment) - timedelta(days=1):%Y-%m-%d %H:%M:%S}"


def _text(rows: list[Document], fault: str) -> str:
    lines = [
        ",".join(f"`{_yuan(value) if isinstance(value, int) else value}" for value in row.values()) for row in rows
    ]
    sums = [
        sum(row[name] for row in rows)
        for name in ("应结订单金额", "退款金额", "充值券退款金额", "手续费", "订单金额", "申请退款金额")
    ]
    if fault == "sums":
        sums[4] += 1
    summary = ",".join(f"`{value}" for value in (len(rows), *map(_yuan, sums)))
    whole = ["\ufeff" + HEADER, *lines, SUMMARY, summary]
    return "\r\n".join(whole[:-2] if fault == "cut_off" else whole) + "\r\n"
