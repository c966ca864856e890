"""The enums of what operators see. Types import them from here, as the others from `schema.types.enums`."""

from __future__ import annotations

from domain.events.streams import AlertKind
from domain.finance.figures import FigureKind, FigureName, ReportStatus
from domain.operators.story import EntryKind
from kernel.states import ErrorKind, RechargeState
from schema.types.describing import described

__all__ = ["AlertKind", "EntryKind", "ErrorKind", "FigureKind", "FigureName", "RechargeState", "ReportStatus"]

described(
    AlertKind,
    "AlertKind",
    "What can wait for staff.",
    {
        "CASE": "A case, which two people decide.",
        "REVIEW": "A paid order that waits for a review.",
        "WORK": "Work that no retry could settle.",
        "TRANSFER": "A transfer that waits for a second person, or for the finance director.",
        "PAYEE": "A bank account that waits for a second person to let it in.",
        "CLAIM": "A claim that an insurer grants, whose arrival is to be booked.",
        "DIFFERENCE": "A difference between a bill and our books.",
        "SIGN_IN_LOCK": "A user, a client or an address that is locked, since too many sign-ins failed.",
    },
)
described(
    ErrorKind,
    "ErrorKind",
    "What went wrong with somebody's money.",
    {
        "LATE_PAYMENT": "It was paid after the order had been given up.",
        "SURPLUS_PAYMENT": "It was paid twice.",
        "RECHARGE_REFUSED": "The issuer has refused the recharge.",
        "RECHARGED_AFTER_FAILURE": "The issuer has recharged after the order had failed.",
        "SURPLUS_RECHARGE": "An issuer that was given up has recharged after all.",
        "REFUND_ABNORMAL": "The channel could not give the money back.",
        "RECHARGE_REVERSED": "The issuer has taken a recharge back.",
        "LATE_TOP_UP": "The wallet was paid into after the top-up had been given up.",
    },
)
described(
    RechargeState,
    "RechargeState",
    "Where an attempt to recharge through one issuer stands.",
    {
        "SUBMITTED": "The issuer has it, or may have it.",
        "SUCCEEDED": "The card was recharged.",
        "REFUSED": "The issuer has refused it for good.",
        "REVERSED": "The issuer has taken it back.",
        "NOT_ACCEPTED": "The issuer did not take it, so another one was looked for.",
        "SURPLUS": "It was not taken, and recharged after all.",
    },
)
described(
    EntryKind,
    "StoryEntryKind",
    "What a line of an order's story comes from.",
    {
        "STEP": "A step of the order; `what` is its trigger.",
        "PAYMENT": "An attempt to pay: begun, or settled.",
        "DEDUCTION": "An attempt to pay by mandate: begun, asked for at the channel, or settled.",
        "FACE_CHECK": "A face verification: begun, or settled.",
        "CALLBACK": "A verified callback of a third party; `what` is what it is about.",
        "REVIEW": "The review: begun, or decided.",
        "RECHARGE": "A submission to a card issuer.",
        "ISSUER_ANSWER": "What the issuer has answered for good.",
        "REFUND": "A refund: begun, or settled.",
        "LEDGER": "One line of a posting: `DEBIT` or `CREDIT` of `account`.",
        "ERROR": "An entry of the error ledger.",
        "CASE": "A case: opened, proposed, or resolved.",
        "DIFFERENCE": "A step of a difference between a bill and our books.",
        "WORK": "What a person did with parked work.",
        "EVENT": "An event that clients could hear.",
        "NOTICE": "A message to the user: written down, or sent.",
        "STAFF_ACTION": "What somebody who works here did or looked at; `what` is the field or command.",
    },
)
described(
    ReportStatus,
    "ReportStatus",
    "Whether a report can still change.",
    {
        "PROVISIONAL": "暂计: the day is not over, or not closed yet.",
        "CLOSED": "已关账: it never changes. What is booked later belongs to a later day.",
    },
)
described(
    FigureKind,
    "FigureKind",
    "What a figure measures.",
    {"MOVEMENT": "What moved on the day.", "POSITION": "What is held at the end of the day."},
)
described(
    FigureName,
    "FigureName",
    "The figures of the daily report.",
    {
        "TURNOVER": "充值收款: what customers paid for orders.",
        "RECHARGED": "充值成功: the price of orders that were recharged, less that of those taken back.",
        "TOP_UPS": "钱包充值: what was paid into wallets.",
        "REFUNDED": "退款: what was paid back for orders.",
        "FEES": "渠道手续费: what channels kept.",
        "COMMISSION": "佣金收入: price less cost of recharges.",
        "LOSSES": "损失: what was written off, less what was gained so.",
        "ESCROW_OPERATING": "托管账户·运营: what lies on the operating account.",
        "ESCROW_RESERVE": "托管账户·备付: what lies on the reserve account.",
        "CHANNEL_CLEARING": "渠道待清算: what channels owe us.",
        "ISSUER_DEPOSITS": "发卡方预存款: what our deposits at issuers hold.",
        "TRANSIT": "充值在途: what was paid and not yet recharged.",
        "REFUNDS_PAYABLE": "应付退款: what is owed back to customers.",
        "WALLETS": "用户钱包: what wallets hold, set aside or not.",
        "MERCHANTS_PAYABLE": "应付商户款: what is owed to merchants.",
        "SUSPENSE": "挂账: what nobody has explained yet.",
    },
)
