"""What is understood of the corpus: nearly every intent, and never an amount that was not meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.voice.intents import Intent, understand
from kernel.errors import Locale
from tests.voice.accuracy import LOCALES, accuracy, outcomes, read, table

GUIDE = (Path(__file__).parents[2] / "docs" / "voice.md").read_text(encoding="utf-8")
UTTERANCES = read()
OUTCOMES = outcomes(UTTERANCES)
ACCURACY_MIN = 0.97
NEEDLESS_SHARE_MAX = 0.03


def test_the_corpus_is_large_and_repeats_nothing() -> None:
    assert len(UTTERANCES) >= 360
    assert len({(each.said, each.locale) for each in UTTERANCES}) == len(UTTERANCES)
    assert {each.intent for each in UTTERANCES} == set(Intent)
    assert sum(each.asks for each in UTTERANCES) >= 100
    for locale in LOCALES:
        assert {each.intent for each in UTTERANCES if each.locale == locale} == set(Intent)


@pytest.mark.parametrize("locale", LOCALES)
def test_intents_are_right(locale: Locale) -> None:
    found = [each for each in OUTCOMES if each.utterance.locale == locale]
    wrong = [(each.utterance.said, each.understood.intent) for each in found if not each.right_intent]
    assert accuracy(found) >= ACCURACY_MIN, wrong


def test_no_amount_is_wrong() -> None:
    assert [(each.utterance.said, each.understood.amount) for each in OUTCOMES if each.wrong_amount] == []


def test_amounts_are_heard_where_they_are_clear() -> None:
    said = [each for each in OUTCOMES if each.utterance.amount]
    needless = [each.utterance.said for each in said if each.asked_for_nothing]
    assert len(needless) <= NEEDLESS_SHARE_MAX * len(said), needless


def test_what_is_unclear_is_asked_back() -> None:
    assert [each.utterance.said for each in OUTCOMES if each.utterance.asks and not each.understood.asks_back] == []


def test_brands_and_products_are_heard() -> None:
    for each in OUTCOMES:
        if each.utterance.brand:
            assert each.understood.brand is each.utterance.brand, each.utterance.said
        if each.utterance.product:
            assert each.understood.product is each.utterance.product, each.utterance.said


def test_the_same_words_mean_the_same() -> None:
    for each in OUTCOMES:
        assert understand(each.utterance.said, locale=each.utterance.locale) == each.understood


def test_the_guide_shows_the_table() -> None:
    assert table(OUTCOMES) in GUIDE
