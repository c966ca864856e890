"""What is said aloud is whole and true, or nothing is said."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.voice import spoken
from domain.voice.intents import understand
from kernel.errors import Locale
from kernel.money import Money
from kernel.states import OrderState, Product, StationBrand
from schema.types.errors import ERRORS
from tests.schema.test_errors import values_of

LOCALES: tuple[Locale, ...] = ("zh-CN", "en")
SUMS = (st.integers(-(10**12), 10**12) | st.integers(1_000, 500_000)).map(Money)
WIDTHS = st.integers(-1, 120)


@pytest.mark.parametrize(
    ("fen", "chinese", "english"),
    [
        (200_000, "两千元", "two thousand yuan"),
        (100_500, "一千零五元", "one thousand and five yuan"),
        (105_000, "一千零五十元", "one thousand and fifty yuan"),
        (32_050, "三百二十元五角", "three hundred and twenty yuan and fifty fen"),
        (50_005, "五百元零五分", "five hundred yuan and five fen"),
        (1_234, "十二元三角四分", "twelve yuan and thirty-four fen"),
        (0, "零元", "zero yuan"),
        (50, "五角", "fifty fen"),
        (-20_000, "负两百元", "minus two hundred yuan"),
        (22_200, "两百二十二元", "two hundred and twenty-two yuan"),
    ],
)
def test_amounts_in_words(fen: int, chinese: str, english: str) -> None:
    assert spoken.amount(Money(fen), "zh-CN") == chinese
    assert spoken.amount(Money(fen), "en") == english


@given(SUMS, WIDTHS, st.sampled_from(LOCALES))
def test_money_is_whole_or_not_said(money: Money, width: int, locale: Locale) -> None:
    said = spoken.money(money, locale, width)
    if said is None:
        assert min(len(way) for way in spoken.amounts(money, locale)) > width
        return
    assert len(said) <= width
    if 1_000 <= money.fen <= 500_000:
        verb = "充" if locale == "zh-CN" else "recharge "
        assert understand(f"{verb}{said}", locale=locale).amount == money


@given(SUMS, st.sampled_from(OrderState), WIDTHS, st.sampled_from(LOCALES))
def test_an_order_says_how_much_and_how_it_stands(money: Money, state: OrderState, width: int, locale: Locale) -> None:
    said = spoken.order(money, state, locale, width)
    if said is not None:
        assert len(said) <= width
        assert spoken.STATES[locale][state] in said
        assert any(way in said for way in spoken.amounts(money, locale))


@given(st.sampled_from(StationBrand), WIDTHS, st.sampled_from(LOCALES))
def test_a_station_is_named_whole(brand: StationBrand, width: int, locale: Locale) -> None:
    said = spoken.station("中国石化(康健加油站)", brand, "桂林路1088号", locale, width)
    whole = {"中国石化康健加油站", "康健加油站", "中国石化康健加油站，桂林路1088号", "中国石化康健加油站, 桂林路1088号"}
    signs = {f"{sign}加油站" for sign in spoken.SIGNS["zh-CN"].values()}
    signs |= {f"{sign} station" for sign in spoken.SIGNS["en"].values()}
    assert said is None or (len(said) <= width and said in whole | signs)


@pytest.mark.parametrize("kind", list(ERRORS), ids=lambda kind: kind.__qualname__)
@pytest.mark.parametrize("locale", LOCALES)
def test_every_error_is_said_or_not_but_never_cut_in_a_number(kind: type, locale: Locale) -> None:
    text = kind(**values_of(kind)).message(locale)
    whole = spoken.message(text, locale, 500)
    assert whole
    assert "¥" not in whole
    for width in range(len(whole)):
        said = spoken.message(text, locale, width)
        if said is None:
            continue
        assert 0 < len(said) <= width
        # Every number in what is said is a number of the whole message.
        numbers = set(re.findall(r"\d+(?:\.\d+)?", text.replace(",", "").replace(".00", "")))
        assert set(re.findall(r"\d+(?:\.\d+)?", said)) <= numbers, said


def test_an_error_ends_behind_a_clause() -> None:
    text = "卡号有误：中石化加油卡为100011开头的19位数字，中石油昆仑卡为9开头的16位数字"
    assert spoken.message(text, "zh-CN", 6) == "卡号有误"
    assert spoken.message(text, "zh-CN", 3) is None
    assert spoken.message("The amount must be at least ¥10.00", "en", 30) is None
    assert spoken.message("The amount must be at least ¥10.00", "en", 36) == "The amount must be at least ten yuan"
    assert spoken.message("There is no such card", "en", 12) == "There is no"


def test_prices_distances_products_and_cards() -> None:
    assert spoken.unit_price(8_460, "zh-CN") == "八点四六元"
    assert spoken.unit_price(8_005, "en") == "eight point zero zero five yuan"
    assert (spoken.distance(40, "zh-CN"), spoken.distance(1_240, "zh-CN")) == ("一百米", "一点二公里")
    assert (spoken.distance(960, "en"), spoken.distance(2_000, "en")) == ("one kilometre", "two kilometres")
    assert spoken.product(Product.GASOLINE_95, "zh-CN") == "九十五号汽油"
    assert spoken.product(Product.DIESEL_0, "en") == "diesel"
