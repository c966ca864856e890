"""The daily report as a table for spreadsheets, and its words in both languages; no I/O."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping

from domain.finance.figures import FigureKind, FigureName, Report, ReportStatus
from kernel.clock import SHANGHAI
from kernel.errors import Locale
from kernel.money import Money

# Excel reads UTF-8 as such only behind this.
BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
# What a spreadsheet would take for a formula, or for the end of a cell.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
PLAIN_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
MOMENT = "%Y-%m-%d %H:%M:%S"

FIGURE_WORDS: Mapping[FigureName, Mapping[Locale, str]] = {
    FigureName.TURNOVER: {"zh-CN": "充值收款", "en": "Turnover"},
    FigureName.RECHARGED: {"zh-CN": "充值成功", "en": "Recharged"},
    FigureName.TOP_UPS: {"zh-CN": "钱包充值", "en": "Wallet top-ups"},
    FigureName.REFUNDED: {"zh-CN": "退款", "en": "Refunds"},
    FigureName.FEES: {"zh-CN": "渠道手续费", "en": "Channel fees"},
    FigureName.COMMISSION: {"zh-CN": "佣金收入", "en": "Commission"},
    FigureName.LOSSES: {"zh-CN": "损失", "en": "Losses"},
    FigureName.ESCROW_OPERATING: {"zh-CN": "托管账户·运营", "en": "Escrow, operating"},
    FigureName.ESCROW_RESERVE: {"zh-CN": "托管账户·备付", "en": "Escrow, reserve"},
    FigureName.CHANNEL_CLEARING: {"zh-CN": "渠道待清算", "en": "Channel clearing"},
    FigureName.ISSUER_DEPOSITS: {"zh-CN": "发卡方预存款", "en": "Deposits at issuers"},
    FigureName.TRANSIT: {"zh-CN": "充值在途", "en": "Recharges in transit"},
    FigureName.REFUNDS_PAYABLE: {"zh-CN": "应付退款", "en": "Refunds payable"},
    FigureName.WALLETS: {"zh-CN": "用户钱包", "en": "Wallets of users"},
    FigureName.MERCHANTS_PAYABLE: {"zh-CN": "应付商户款", "en": "Merchants payable"},
    FigureName.SUSPENSE: {"zh-CN": "挂账", "en": "Suspense"},
}
KIND_WORDS: Mapping[FigureKind, Mapping[Locale, str]] = {
    FigureKind.MOVEMENT: {"zh-CN": "当日发生", "en": "Of the day"},
    FigureKind.POSITION: {"zh-CN": "日终余额", "en": "At its end"},
}
STATUS_WORDS: Mapping[ReportStatus, Mapping[Locale, str]] = {
    ReportStatus.PROVISIONAL: {"zh-CN": "暂计（当日未结束或未关账）", "en": "Provisional: the day is not closed"},
    ReportStatus.CLOSED: {"zh-CN": "已关账", "en": "Closed"},
}
WORDS: Mapping[str, Mapping[Locale, str]] = {
    "title": {"zh-CN": "油卡财务日报", "en": "Youka daily finance report"},
    "day": {"zh-CN": "业务日", "en": "Business day"},
    "status": {"zh-CN": "状态", "en": "Status"},
    "as_of": {"zh-CN": "数据时间", "en": "As of"},
    "section": {"zh-CN": "类别", "en": "Section"},
    "code": {"zh-CN": "代码", "en": "Code"},
    "label": {"zh-CN": "项目", "en": "Item"},
    "opening": {"zh-CN": "期初（元）", "en": "Opening (CNY)"},
    "debit": {"zh-CN": "借方（元）", "en": "Debit (CNY)"},
    "credit": {"zh-CN": "贷方（元）", "en": "Credit (CNY)"},
    "amount": {"zh-CN": "金额/期末（元）", "en": "Amount, closing (CNY)"},
    "account": {"zh-CN": "科目", "en": "Account"},
    "total": {"zh-CN": "合计", "en": "Total"},
}
COLUMNS = ("day", "status", "as_of", "section", "code", "label", "opening", "debit", "credit", "amount")


def word(name: str, locale: Locale) -> str:
    return WORDS[name][locale]


def moment_of(report: Report) -> str:
    """Return when the report was read or closed, in Asia/Shanghai and in UTC."""
    utc = report.as_of.strftime(MOMENT)
    return f"{report.as_of.astimezone(SHANGHAI).strftime(MOMENT)} +08:00 ({utc} UTC)"


def as_csv(report: Report, locale: Locale) -> str:
    """Return a line for each figure, each account and the totals; amounts are yuan with two places, cells are safe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([word(name, locale) for name in COLUMNS])
    head = (report.day.isoformat(), STATUS_WORDS[report.status][locale], moment_of(report))
    for line in _lines(report, locale):
        writer.writerow([safe(cell) for cell in (*head, *line)])
    return BYTE_ORDER_MARK + out.getvalue()


def _lines(report: Report, locale: Locale) -> Iterator[tuple[str, ...]]:
    for name, kind, amount in report.figures:
        yield (KIND_WORDS[kind][locale], name.value, FIGURE_WORDS[name][locale], "", "", "", amount.yuan)
    account = word("account", locale)
    for each in report.accounts:
        fen = (each.opening_fen, each.debit_fen, each.credit_fen, each.closing_fen)
        yield (account, each.account, each.account, *(Money(one).yuan for one in fen))
    yield (word("total", locale), "TOTAL", "", "", report.debit.yuan, report.credit.yuan, "")


def safe(cell: str) -> str:
    """Return the cell so that no spreadsheet computes it: what begins like a formula gets an apostrophe in front."""
    if cell.startswith(FORMULA_STARTS) and not PLAIN_NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
