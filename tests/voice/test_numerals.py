"""Numbers are read as they are written, in words and in digits, in both languages."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.voice import english_numbers, numerals
from domain.voice.intents import understand
from domain.voice.numerals import Kind
from domain.voice.spoken import amount
from kernel.money import Money

NUMBERS = st.integers(1, 100_000)
SUMS = st.integers(1_000, 500_000).map(Money)


@given(NUMBERS)
@example(10)
@example(100_000)
@example(20_002)
def test_chinese_numerals_come_back(number: int) -> None:
    said = numerals.write(number)
    for variant in {said, said.replace("两", "二"), said.replace("零", "〇")}:
        assert numerals.read(variant).value == number, variant
    assert numerals.read(str(number)).value == number


@given(st.integers(1, 9), st.integers(1, 9))
def test_the_last_level_may_be_left_out(head: int, tail: int) -> None:
    one, other = numerals.WORDS[head], numerals.WORDS[tail]
    assert numerals.read(f"{one}百{other}").value == head * 100 + tail * 10
    assert numerals.read(f"{one}千{other}").value == head * 1_000 + tail * 100
    assert numerals.read(f"{head}千{tail}").value == head * 1_000 + tail * 100
    assert numerals.read(f"{one}千零{other}").value == head * 1_000 + tail
    assert numerals.read(f"{one}万{other}").value == head * 10_000 + tail * 1_000


@given(NUMBERS)
def test_english_numbers_come_back(number: int) -> None:
    words = english_numbers.write(number).replace("-", " ").split()
    assert english_numbers.read(words).value == number
    without = [word for word in words if word != "and"]
    if "thousand" not in words or "hundred" in words[words.index("thousand") :]:
        assert english_numbers.read(without).value == number


@given(st.integers(1, 9))
def test_a_half_counts_as_half_of_its_scale(head: int) -> None:
    words = f"{english_numbers.ONES[head]} and a half thousand".split()
    assert english_numbers.read(words).value == head * 1_000 + 500


@pytest.mark.parametrize("run", ["三五百", "五六百", "一两千", "七八十", "一百五六"])
def test_a_range_is_no_number(run: str) -> None:
    assert numerals.read(run).kind is Kind.RANGE


@pytest.mark.parametrize(
    "run",
    [
        "",
        "百",
        "千五",
        "一千五十",
        "三百五百",
        "一万五百",
        "五点五百",
        "1.2.3",
        "15百",
        "两万亿",
        "一" + "千" * 30,
        "0512.",
    ],
)
def test_what_is_not_well_formed_is_not_read(run: str) -> None:
    assert numerals.read(run).value is None


@pytest.mark.parametrize(
    "words", ["five fifty", "five oh oh", "one twenty", "five hundred six hundred", "and five", "thousand"]
)
def test_what_could_be_two_numbers_is_not_read(words: str) -> None:
    assert english_numbers.read(words.split()).value is None


@given(st.text(alphabet="零一二两三五九十百千万点0123456789k.廿", max_size=24))
def test_any_run_is_read_or_not(run: str) -> None:
    value = numerals.read(run).value
    assert value is None or value >= 0


@given(SUMS)
@example(Money(32_050))
@example(Money(50_005))
@example(Money(100_000))
def test_what_is_said_of_an_amount_is_heard_as_that_amount(money: Money) -> None:
    """The service would understand itself: its words for an amount mean that amount, in either language."""
    chinese = understand(f"充{amount(money, 'zh-CN')}", locale="zh-CN")
    assert chinese.amount == money, amount(money, "zh-CN")
    english = understand(f"recharge {amount(money, 'en')}", locale="en")
    assert english.amount == money, amount(money, "en")


@given(SUMS)
def test_digits_are_heard_as_they_are_written(money: Money) -> None:
    for said in (f"充{money.yuan}元", f"充{money.text}", f"充值{Decimal(money.fen) / 100}块钱"):
        assert understand(said, locale="zh-CN").amount == money, said
    assert understand(f"recharge {money.yuan} yuan", locale="en").amount == money


@pytest.mark.parametrize("said", ["充五百嗯三", "充五百那个五十", "充一千呃五", "充五百额三百"])
def test_a_pause_inside_a_number_is_asked_about(said: str) -> None:
    assert understand(said, locale="zh-CN").amount is None
    assert understand("recharge five hundred um three", locale="en").amount is None


@given(st.integers(10, 5_000), st.integers(10, 5_000))
def test_two_amounts_are_asked_about_and_a_correction_is_not(first: int, second: int) -> None:
    one, other = numerals.write(first), numerals.write(second)
    if first != second:
        assert understand(f"充{one}元，{other}元", locale="zh-CN").amount is None
        assert understand(f"充{one}元或者{other}元", locale="zh-CN").amount is None
    corrected = understand(f"充{one}元，不对，{other}元", locale="zh-CN")
    assert corrected.amount == Money(second * 100)
