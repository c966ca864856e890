"""What WeChat Pay writes about a payment or a refund, in answers and in callbacks."""

from __future__ import annotations

from kernel.settings import Settings
from sandbox.store import Document

STATE_WORDS = {
    "NOTPAY": "订单未支付",
    "SUCCESS": "支付成功",
    "REFUND": "订单发生过退款",
    "CLOSED": "订单已关闭",
    "ACCEPT": "已接收，等待扣款",
    "PAY_FAIL": "扣款失败",
}


def describe_trade(trade: Document, settings: Settings) -> Document:
    document: Document = {
        "sp_appid": settings.wechat_pay_sp_appid,
        "sp_mchid": settings.wechat_pay_sp_mchid,
        "sub_mchid": trade["sub_mchid"],
        "out_trade_no": trade["out_trade_no"],
        "trade_state": trade["state"],
        "trade_state_desc": STATE_WORDS[trade["state"]],
        "attach": "",
        "payer": {"sp_openid": trade["openid"]},
        "amount": {"total": trade["total"], "currency": trade["currency"]},
    }
    if trade["transaction_id"]:
        document |= {
            "transaction_id": trade["transaction_id"],
            "trade_type": "AUTH" if "contract_id" in trade else "JSAPI",
            "bank_type": "OTHERS",
            "success_time": trade["success_time"],
        }
        document["amount"] |= {"payer_total": trade["total"], "payer_currency": trade["currency"]}
    return document


def describe_refund(refund: Document) -> Document:
    names = ("refund_id", "out_refund_no", "transaction_id", "out_trade_no", "status", "create_time")
    document: Document = {
        **{name: refund[name] for name in names},
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "funds_account": "AVAILABLE",
        "amount": {
            **_refund_amount(refund),
            "settlement_refund": refund["refund"],
            "settlement_total": refund["total"],
            "discount_refund": 0,
            "currency": refund["currency"],
        },
    }
    if refund["success_time"]:
        document["success_time"] = refund["success_time"]
    return document


def describe_refund_outcome(refund: Document, settings: Settings) -> Document:
    """Return what a refund's callback holds, which names the state and the merchants otherwise than an answer."""
    document = {
        "sp_mchid": settings.wechat_pay_sp_mchid,
        "sub_mchid": refund["sub_mchid"],
        **{name: refund[name] for name in ("transaction_id", "out_trade_no", "refund_id", "out_refund_no")},
        "refund_status": refund["status"],
        "user_received_account": "支付用户零钱",
        "amount": _refund_amount(refund),
    }
    if refund["success_time"]:
        document["success_time"] = refund["success_time"]
    return document


def _refund_amount(refund: Document) -> Document:
    return {
        "total": refund["total"],
        "refund": refund["refund"],
        "payer_total": refund["total"],
        "payer_refund": refund["refund"],
    }
