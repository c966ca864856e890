"""The trade bill of Alipay: a zip of a table of lines and one of sums, in GBK."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from datetime import date

from sandbox.alipay_wire import time_text
from sandbox.store import Document

COLUMNS = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,"
    "支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,"
    "退款批次号/请求号,服务费（元）,分润（元）,备注"
)
FEE_BASIS_POINTS = 60
LAST_LINES = 3
# What nobody of the house has paid.
STRANGER = "9900000000000000000000000001"


def yuan(fen: int) -> str:
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def bill_of(
    day: date, seller_id: str, payments: Sequence[Document], refunds: Sequence[Document], fault: str = "ok"
) -> bytes:
    """Return the zip. Amounts in fen: `total` of payments, `amount` of refunds. `fault` is one of `alipay_bill`."""
    lines = [(each, "交易", each["total"], each["paid_at"], "") for each in payments]
    lines += [(each, "退款", -each["amount"], each["done_at"], each["out_request_no"]) for each in refunds]
    if fault == "omit":
        lines = lines[:-1]
    if fault == "extra" and lines:
        stranger = {
            **lines[0][0],
            "out_trade_no": "STRANGER0000000000000000001",
            "trade_no": "2026000000000000000000000001",
        }
        lines.append((stranger, *lines[0][1:]))
    if fault == "drift" and lines:
        each, kind, fen, *rest = lines[0]
        lines[0] = (each, kind, fen + 1, *rest)
    table = _table(day, seller_id, lines)
    if fault == "cut":
        table = "\n".join(table.splitlines()[:-LAST_LINES]) + "\n"
    packed = io.BytesIO()
    name = f"{seller_id}0156_{day:%Y%m%d}_业务明细"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for suffix, content in (("", table), ("(汇总)", "#支付宝业务汇总查询\n")):
            # The platform writes names in GBK without saying so.
            member = f"{name}{suffix}.csv".encode("gbk").decode("cp437")
            archive.writestr(_without_utf8(member), content.encode("gbk"))
    return packed.getvalue()


def _without_utf8(name: str) -> zipfile.ZipInfo:
    class Plain(zipfile.ZipInfo):
        def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - the base class names it so
            return self.filename.encode("cp437"), self.flag_bits

    info = Plain(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _table(day: date, seller_id: str, lines: Sequence[tuple[Document, str, int, str, str]]) -> str:
    sums = {kind: [fen for _, said, fen, _, _ in lines if said == kind] for kind in ("交易", "退款")}
    rows = [_row(*line) for line in lines]
    received, refunded = sums["交易"], sums["退款"]
    return "\n".join(
        [
            "#支付宝业务明细查询",
            f"#账号：[{seller_id}0156]",
            f"#起始日期：[{day:%Y年%m月%d日} 00:00:00]   终止日期：[{day:%Y年%m月%d日} 24:00:00]",
            "#-----------------------------------------业务明细列表----------------------------------------",
            COLUMNS,
            *rows,
            "#-----------------------------------------业务明细列表结束------------------------------------",
            f"#交易合计：{len(received)}笔，商家实收共{yuan(sum(received))}元，商家优惠共0.00元",
            f"#退款合计：{len(refunded)}笔，商家实收退款共{yuan(sum(refunded))}元，商家优惠退款共0.00元",
            f"#导出时间：[{time_text()}]",
            "",
        ]
    )


def _row(each: Document, kind: str, fen: int, at: str, request_no: str) -> str:
    fee_fen = -(abs(fen) * FEE_BASIS_POINTS // 10_000) * (1 if fen > 0 else -1)
    zeroes = ["0.00"] * 5
    cells = [each["trade_no"], each["out_trade_no"], kind, each["subject"], each["created_at"], at]
    cells += ["", "", "", "", "pay***@example.com", yuan(fen), yuan(fen), *zeroes, "", "0.00", "0.00"]
    return ",".join(f"{cell}\t" for cell in [*cells, request_no, yuan(fee_fen), "0.00", ""])
