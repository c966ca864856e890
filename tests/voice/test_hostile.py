"""Whatever is heard, something is understood or asked, soon, and nothing breaks."""

from __future__ import annotations

import time
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.voice import speech
from domain.voice.intents import Intent, understand
from domain.voice.speech import Speech
from kernel.errors import Locale
from kernel.settings import Settings

LENGTH_MAX = Settings().voice_transcript_length_max
LOCALES = st.sampled_from(["zh-CN", "en"])
PIECES = [
    "充",
    "五百",
    "块",
    "不对",
    "，",
    "95",
    "号",
    "不是",
    "算了",
    "确认",
    "点",
    "零",
    "k",
    "1,000",
    "and a half ",
    " no ",
    "⇒",
    "·",
    "½",
]


@given(st.text(max_size=LENGTH_MAX), LOCALES)
def test_any_text_is_understood_as_something(text: str, locale: Locale) -> None:
    assert understand(text, locale=locale).intent in Intent


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), LOCALES)
def test_any_words_of_ours_are_understood_as_something(text: str, locale: Locale) -> None:
    found = understand(text, locale=locale)
    assert found.amount is None or found.question is None


@given(st.text(max_size=80))
def test_no_name_gets_out_of_its_sentence(name: str) -> None:
    said = speech.say("nearest", "zh-CN", station=speech.of_name(name), distance=speech.plain("一公里"))
    root = ElementTree.fromstring(said.ssml)  # noqa: S314 - our own text
    assert {child.tag.rpartition("}")[2] for child in root} == {"s"}
    assert all(len(child) == 0 for child in root)


def test_every_sentence_has_the_same_values_in_both_languages() -> None:
    for key, texts in speech.TEMPLATES.items():
        values = [sorted(part.partition("}")[0] for part in text.split("{")[1:]) for text in texts.values()]
        assert values[0] == values[1], key
    assert Speech("一。二", "一。二", "zh-CN").ssml.count("<s>") == 2


@pytest.mark.parametrize(
    "piece", [*PIECES, "1", "百", ",", " ", "不", "a", "a ", "一点", "尾号", "9,999", "五百，不对，"]
)
def test_long_texts_take_no_longer_than_their_length(piece: str) -> None:
    """Ten times the text may take ten times the time and some more, never a hundred times."""

    def best_of(text: str) -> float:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            understand(text, locale="zh-CN")
            times.append(time.perf_counter() - start)
        return min(times)

    short, long = (piece * (length // len(piece)) for length in (200, 2_000))
    assert best_of(long) < 60 * best_of(short) + 0.5
