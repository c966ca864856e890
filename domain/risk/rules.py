"""What is checked before an order exists. Amounts are fen; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from kernel.errors import YoukaError
from kernel.money import Money
from kernel.states import ReviewReason


class AmountNotPositive(YoukaError):
    code = "AMOUNT_NOT_POSITIVE"
    messages = {"zh-CN": "充值金额必须大于零", "en": "The amount must be more than zero"}


class AmountFractionOfFen(YoukaError):
    code = "AMOUNT_FRACTION_OF_FEN"
    messages = {"zh-CN": "充值金额最多两位小数", "en": "The amount may have two decimal places at most"}


class AmountMissing(YoukaError):
    code = "AMOUNT_MISSING"
    messages = {"zh-CN": "请填写充值金额或选择优惠", "en": "Say how much to recharge, or name an offer"}


class AmountNotOffered(YoukaError):
    code = "AMOUNT_NOT_OFFERED"
    messages = {"zh-CN": "该优惠的充值金额为{minimum.text}", "en": "The offer is for {minimum.text}"}


class AmountTooSmall(YoukaError):
    code = "AMOUNT_TOO_SMALL"
    messages = {"zh-CN": "充值金额不能少于{minimum.text}", "en": "The amount must be at least {minimum.text}"}


class AmountTooLarge(YoukaError):
    code = "AMOUNT_TOO_LARGE"
    messages = {"zh-CN": "单笔充值不能超过{maximum.text}", "en": "The amount must be {maximum.text} at most"}


class DailyLimitExceeded(YoukaError):
    code = "DAILY_LIMIT_EXCEEDED"
    messages = {
        "zh-CN": "今日还可充值{maximum.text}",
        "en": "You can recharge {maximum.text} more today",
    }


class WalletTooFull(YoukaError):
    code = "WALLET_TOO_FULL"
    messages = {
        "zh-CN": "钱包最多还可存入{maximum.text}",
        "en": "The wallet can take {maximum.text} more",
    }


class TooManyUnpaidOrders(YoukaError):
    code = "TOO_MANY_UNPAID_ORDERS"
    messages = {
        "zh-CN": "您有{count}笔待支付订单，请先支付或取消",
        "en": "You have {count} unpaid orders; pay or cancel one first",
    }


class PayerNeeded(YoukaError):
    """The order takes a face, so nobody may pay it by a word."""

    code = "PAYER_NEEDED"
    messages = {
        "zh-CN": "该订单须人脸核身，不能免密支付，请到小程序支付",
        "en": "This order takes a face verification, please pay it in the mini-program",
    }


class TooManyUnattended(YoukaError):
    code = "TOO_MANY_UNATTENDED"
    messages = {
        "zh-CN": "今日免密支付已达{count}笔，请到小程序支付",
        "en": "{count} orders were paid without a password today, please pay in the mini-program",
    }


@dataclass(frozen=True, slots=True)
class Limits:
    amount_min_fen: int
    amount_max_fen: int
    daily_max_fen: int
    unpaid_orders_max: int
    review_above_fen: int
    split_window: timedelta
    top_up_max_fen: int
    wallet_max_fen: int
    unattended_per_day_max: int = 5


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules look at: orders that are not failed count as spent on the business day they were made.

    `unreviewed_fen` is what went without a review within the split window, for this user or onto this card by anybody,
    whichever is more.
    """

    spent_today_fen: int
    unpaid_orders: int
    unreviewed_fen: int


def amount_of(yuan: Decimal) -> Money:
    """Return the amount in fen. Raises AmountFractionOfFen or AmountNotPositive."""
    try:
        amount = Money.from_yuan(yuan)
    except ValueError as error:
        raise AmountFractionOfFen from error
    if amount.fen <= 0:
        raise AmountNotPositive
    return amount


def check_amount(amount: Money, limits: Limits) -> None:
    """Raises AmountTooSmall or AmountTooLarge, each with the limit."""
    if amount.fen < limits.amount_min_fen:
        raise AmountTooSmall(minimum=Money(limits.amount_min_fen))
    if amount.fen > limits.amount_max_fen:
        raise AmountTooLarge(maximum=Money(limits.amount_max_fen))


def check_facts(amount: Money, facts: Facts, limits: Limits) -> None:
    """Raises TooManyUnpaidOrders or DailyLimitExceeded, with what is left of the day."""
    if facts.unpaid_orders >= limits.unpaid_orders_max:
        raise TooManyUnpaidOrders(count=facts.unpaid_orders)
    if facts.spent_today_fen + amount.fen > limits.daily_max_fen:
        raise DailyLimitExceeded(maximum=Money(max(0, limits.daily_max_fen - facts.spent_today_fen)))


def review_reason(amount: Money, facts: Facts, limits: Limits) -> ReviewReason | None:
    """Say why a person must look at an order before it is recharged: it is large, or a large one in small pieces."""
    if amount.fen > limits.review_above_fen:
        return ReviewReason.LARGE_AMOUNT
    if facts.unreviewed_fen + amount.fen > limits.review_above_fen:
        return ReviewReason.SPLIT_ORDERS
    return None


def check_top_up(amount: Money, *, balance: Money, limits: Limits) -> None:
    """Raises AmountTooSmall, AmountTooLarge or WalletTooFull, each with the limit."""
    if amount.fen < limits.amount_min_fen:
        raise AmountTooSmall(minimum=Money(limits.amount_min_fen))
    if amount.fen > limits.top_up_max_fen:
        raise AmountTooLarge(maximum=Money(limits.top_up_max_fen))
    if balance.fen + amount.fen > limits.wallet_max_fen:
        raise WalletTooFull(maximum=Money(max(0, limits.wallet_max_fen - balance.fen)))


def check_unattended(*, takes_a_face: bool, paid_today: int, limits: Limits) -> None:
    """Say whether an order may be paid without its payer being there. Raises PayerNeeded or TooManyUnattended."""
    if takes_a_face:
        raise PayerNeeded
    if paid_today >= limits.unattended_per_day_max:
        raise TooManyUnattended(count=paid_today)
