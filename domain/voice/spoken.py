"""What is said aloud of money, stations, orders and errors, in at most so many characters; no I/O.

A text that is too long gives way to a shorter complete one, and where even that does not fit to nothing at all: half an
amount would be another amount. Characters are Unicode code points.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from domain.voice import english_numbers, numerals
from kernel.errors import Locale
from kernel.money import FEN_PER_YUAN, Money
from kernel.states import CardBrand, OrderState, Product, StationBrand

MONEY_TEXT = re.compile(r"(-?)¥(\d{1,3}(?:,\d{3})*|\d+)\.(\d\d)", re.ASCII)
# Larger amounts are shown in digits, which every voice can read.
WORDS_MAX_YUAN = 100_000_000
JIAO_FEN = 10
# Behind one of these a text may end and still be true.
CLAUSE_ENDS = re.compile(r"[，。；：！？](?=.)|[,.;:!?] ")

STATES: dict[Locale, dict[OrderState, str]] = {
    "zh-CN": {
        OrderState.PENDING_PAYMENT: "待支付",
        OrderState.PAYING: "支付中",
        OrderState.RECHARGING: "充值中",
        OrderState.SUCCEEDED: "已到账",
        OrderState.FAILED: "未成功",
    },
    "en": {
        OrderState.PENDING_PAYMENT: "waiting for payment",
        OrderState.PAYING: "being paid",
        OrderState.RECHARGING: "on its way",
        OrderState.SUCCEEDED: "arrived",
        OrderState.FAILED: "not successful",
    },
}
BRANDS: dict[Locale, dict[CardBrand, str]] = {
    "zh-CN": {CardBrand.SINOPEC: "中石化", CardBrand.PETROCHINA: "中石油"},
    "en": {CardBrand.SINOPEC: "Sinopec", CardBrand.PETROCHINA: "PetroChina"},
}
SIGNS: dict[Locale, dict[StationBrand, str]] = {
    "zh-CN": {
        StationBrand.SINOPEC: "中石化",
        StationBrand.PETROCHINA: "中石油",
        StationBrand.CNOOC: "中海油",
        StationBrand.SHELL: "壳牌",
    },
    "en": {
        StationBrand.SINOPEC: "Sinopec",
        StationBrand.PETROCHINA: "PetroChina",
        StationBrand.CNOOC: "CNOOC",
        StationBrand.SHELL: "Shell",
    },
}


def amount(money: Money, locale: Locale) -> str:
    """Say an amount in words: 三百二十元五角, three hundred and twenty yuan and fifty fen."""
    yuan, fen = divmod(abs(money.fen), FEN_PER_YUAN)
    if yuan >= WORDS_MAX_YUAN:
        return _digits(money, locale)
    text = _amount_zh(yuan, fen) if locale == "zh-CN" else _amount_en(yuan, fen)
    sign = "负" if locale == "zh-CN" else "minus "
    return f"{sign}{text}" if money.fen < 0 else text


def _amount_zh(yuan: int, fen: int) -> str:
    jiao, rest = divmod(fen, JIAO_FEN)
    text = f"{numerals.write(yuan)}元" if yuan or not fen else ""
    if jiao:
        text += f"{numerals.write(jiao)}角"
    if rest:
        text += ("零" if text and not jiao else "") + f"{numerals.write(rest)}分"
    return text


def _amount_en(yuan: int, fen: int) -> str:
    parts = [f"{english_numbers.write(yuan)} yuan"] if yuan or not fen else []
    return " and ".join([*parts, *([f"{english_numbers.write(fen)} fen"] if fen else [])])


def _digits(money: Money, locale: Locale) -> str:
    plain = money.yuan.removesuffix(".00")
    return f"{plain}元" if locale == "zh-CN" else f"{plain} yuan"


def amounts(money: Money, locale: Locale) -> list[str]:
    """Return the ways to say an amount, the best first; each of them is the whole amount."""
    return [amount(money, locale), _digits(money, locale), f"¥{money.yuan.removesuffix('.00')}".replace("¥-", "-¥")]


def fit(texts: Iterable[str], max_chars: int) -> str | None:
    """Return the first text that has at most so many characters; None where none does."""
    return next((text for text in texts if text and len(text) <= max_chars), None)


def money(money: Money, locale: Locale, max_chars: int) -> str | None:
    return fit(amounts(money, locale), max_chars)


def station(name: str, brand: StationBrand, address: str, locale: Locale, max_chars: int) -> str | None:
    """Say a station: its name and address, its name, what stands in brackets, or its brand alone."""
    whole = sayable(name)
    inner = re.search(r"[(（]([^()（）]+)[)）]", name)
    comma = "，" if locale == "zh-CN" else ", "
    sign = SIGNS[locale].get(brand)
    return fit(
        [
            f"{whole}{comma}{sayable(address)}" if address else "",
            whole,
            inner.group(1).strip() if inner else "",
            ({"zh-CN": f"{sign}加油站", "en": f"{sign} station"}[locale] if sign else ""),
        ],
        max_chars,
    )


def sayable(text: str) -> str:
    """Take out the brackets of a name, which nobody speaks: 中国石化(康健加油站) is 中国石化康健加油站."""
    return re.sub(r"[()（）\[\]【】]", "", text).strip()


def order(money: Money, state: OrderState, locale: Locale, max_chars: int) -> str | None:
    """Say an order: always how much and how it stands."""
    stands = STATES[locale][state]
    texts = []
    for said in amounts(money, locale):
        texts += (
            [f"充值{said}，{stands}", f"{said}{stands}"]
            if locale == "zh-CN"
            else [
                f"A recharge of {said}: {stands}",
                f"{said}, {stands}",
            ]
        )
    return fit(texts, max_chars)


def message(text: str, locale: Locale, max_chars: int) -> str | None:
    """Say the message of an error, with its amounts in words; what is too long ends behind a clause.

    Without any number in it, an English one may end behind a word.
    """
    wholes = [_with_amounts(text, way, locale) for way in (amount, _digits)]
    fitting = fit(wholes, max_chars)
    if fitting is not None:
        return fitting
    said = wholes[1]
    clauses = [said[: found.start()] for found in CLAUSE_ENDS.finditer(said)]
    has_number = any(letter.isdigit() for letter in said)
    words = [said[: found.start()] for found in re.finditer(" ", said)] if locale == "en" and not has_number else []
    return fit([*reversed(clauses), *reversed(words)], max_chars)


def _with_amounts(text: str, way: Callable[[Money, Locale], str], locale: Locale) -> str:
    return MONEY_TEXT.sub(lambda found: way(_money_of(found), locale), text)


def _money_of(found: re.Match[str]) -> Money:
    sign, whole, rest = found.groups()
    fen = int(whole.replace(",", "")) * FEN_PER_YUAN + int(rest)
    return Money(-fen if sign else fen)


def card(brand: CardBrand, tail: str, locale: Locale) -> str:
    """Name a card by its last digits, one by one."""
    if locale == "zh-CN":
        return f"尾号{numerals.write_digits(tail)}的{BRANDS[locale][brand]}卡"
    return f"the {BRANDS[locale][brand]} card ending in {' '.join(tail)}"


def product(kind: Product, locale: Locale) -> str:
    if locale == "zh-CN":
        return "零号柴油" if kind is Product.DIESEL_0 else f"{numerals.write(int(kind))}号汽油"
    return "diesel" if kind is Product.DIESEL_0 else f"{english_numbers.write(int(kind))} octane"


def unit_price(milliyuan: int, locale: Locale) -> str:
    """Say a price per litre exactly: 八点四六元."""
    whole, rest = divmod(milliyuan, 1_000)
    places = f"{rest:03d}".rstrip("0")
    if locale == "zh-CN":
        return f"{numerals.write(whole)}{'点' + numerals.write_digits(places) if places else ''}元"
    spelled = " ".join(english_numbers.ONES[int(digit)] for digit in places)
    return f"{english_numbers.write(whole)}{' point ' + spelled if spelled else ''} yuan"


def distance(metres: int, locale: Locale) -> str:
    """Say a distance, in hundreds of metres or in kilometres with one place."""
    if metres < 950:  # noqa: PLR2004 - from here on it rounds to a kilometre
        near = max(100, round(metres, -2))
        return f"{numerals.write(near)}米" if locale == "zh-CN" else f"{english_numbers.write(near)} metres"
    whole, tenth = divmod(round(metres, -2) // 100, 10)
    if locale == "zh-CN":
        return f"{numerals.write(whole)}{'点' + numerals.WORDS[tenth] if tenth else ''}公里"
    point = f" point {english_numbers.ONES[tenth]}" if tenth else ""
    return f"{english_numbers.write(whole)}{point} kilometre{'s' if (whole, tenth) != (1, 0) else ''}"
