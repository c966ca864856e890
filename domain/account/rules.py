"""Which payment passwords are too easy to guess, and what it takes to change one's own limits. No I/O."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from kernel.errors import YoukaError
from kernel.money import Money

DIGITS = 6
PASSWORD = re.compile(rf"[0-9]{{{DIGITS}}}", re.ASCII)
# 121212, 123123 and 111111 repeat a part of these lengths.
REPEATED_LENGTHS = (1, 2, 3)
# A date of birth is six digits that many people know: YYMMDD.
BIRTHDAY = re.compile(r"[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])", re.ASCII)
DISTINCT_MIN = 3


class PaymentPasswordMalformed(YoukaError):
    code = "PAYMENT_PASSWORD_MALFORMED"
    messages = {"zh-CN": "支付密码须为6位数字", "en": "The payment password has six digits"}


class PaymentPasswordWeak(YoukaError):
    code = "PAYMENT_PASSWORD_WEAK"
    messages = {
        "zh-CN": "支付密码过于简单，请勿使用重复、连续数字、生日或手机号中的数字",
        "en": "Too easy to guess: no repeats, no runs, no birthday, and nothing out of the phone number",
    }


class OwnLimitExceeded(YoukaError):
    """The user's own limit; `maximum` is what may still be recharged under it."""

    code = "OWN_LIMIT_EXCEEDED"
    messages = {
        "zh-CN": "超出您设置的限额，最多还可充值{maximum.text}",
        "en": "Over the limit that you have set: {maximum.text} at most",
    }


@dataclass(frozen=True, slots=True)
class OwnLimits:
    """What a user has set themselves, in fen; None where they have not."""

    per_recharge_fen: int | None = None
    per_day_fen: int | None = None


def check_password(text: str, *, phone: str | None) -> None:
    """`phone` is the national number, where one is bound. Raises PaymentPasswordMalformed or PaymentPasswordWeak."""
    if not PASSWORD.fullmatch(text):
        raise PaymentPasswordMalformed
    repeats = any(text == text[:length] * (DIGITS // length) for length in REPEATED_LENGTHS)
    few = len(set(text)) < DISTINCT_MIN
    of_phone = phone is not None and (text in phone or text[::-1] in phone)
    if repeats or few or _is_run(text) or of_phone or BIRTHDAY.fullmatch(text):
        raise PaymentPasswordWeak


def _is_run(text: str) -> bool:
    """Say whether the digits go up or down by one, also over the end: 345678, 876543, 890123."""
    steps = {(int(after) - int(before)) % 10 for before, after in itertools.pairwise(text)}
    return steps in ({1}, {9})


def raises(new: OwnLimits, old: OwnLimits) -> bool:
    """Say whether more may be spent under the new limits than under the old ones, by either of them."""
    pairs = ((new.per_recharge_fen, old.per_recharge_fen), (new.per_day_fen, old.per_day_fen))
    return any(before is not None and (after is None or after > before) for after, before in pairs)


def check_own_limits(amount: Money, *, spent_today_fen: int, own: OwnLimits) -> None:
    """Raises OwnLimitExceeded."""
    if own.per_recharge_fen is not None and amount.fen > own.per_recharge_fen:
        raise OwnLimitExceeded(maximum=Money(own.per_recharge_fen))
    if own.per_day_fen is not None and spent_today_fen + amount.fen > own.per_day_fen:
        raise OwnLimitExceeded(maximum=Money(max(0, own.per_day_fen - spent_today_fen)))
