"""What a driver wants, out of what the car has heard: an intent, its slots, and how sure that is; no I/O.

No learning and no network: the same words always mean the same, in time that grows with their number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from domain.voice import chinese, english, lexicon
from domain.voice.amounts import Amount, Mention, Question, Sort, resolve
from domain.voice.normalising import CORRECTION, Normal, normalise
from kernel.errors import Locale
from kernel.money import Money
from kernel.states import CardBrand, Product


class Intent(StrEnum):
    NEAREST_STATION = "NEAREST_STATION"
    CHEAPEST_STATION = "CHEAPEST_STATION"
    PRICE = "PRICE"
    BALANCE = "BALANCE"
    RECHARGE = "RECHARGE"
    ORDER_STATE = "ORDER_STATE"
    CONFIRM = "CONFIRM"
    CANCEL = "CANCEL"
    HELP = "HELP"
    UNKNOWN = "UNKNOWN"


CERTAIN, LIKELY, UNLIKELY = 100, 70, 0
NEAR_LENGTH_MIN = 4
RESERVED_ZH = frozenset("不没别未非勿甭吗呢")
# What may stand beside an amount that is said alone.
ASIDE_ZH = frozenset(",.，是不就要来那我想吧啊呀哈的了和跟或者还加个整给到卡里上这油往吗对好行嗯呢")
ASIDE_EN = frozenset({
    ",", "not", "no", "or", "and", "but", "it", "it's", "is", "to", "my", "card", "on", "the", "instead", "of", "for",
    "only", "yes", "me", "that", "want", "i",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Understood:
    """`amount` is exact and the only one; `question` says why there is none. `confidence` is from 0 to 100.

    `guess` is what may have been meant where nothing was understood. A confirmation may name the amount again.
    `bare_digits` are those of a number without a unit, which may be the end of a card's number.
    """

    intent: Intent
    amount: Money | None = None
    question: Question | None = None
    product: Product | None = None
    brand: CardBrand | None = None
    tail: str = ""
    confidence: int = CERTAIN
    guess: Intent | None = None
    bare_digits: str = ""

    @property
    def asks_back(self) -> bool:
        """Whether the words alone call for a question: nothing was understood, or money without one exact amount."""
        if self.intent is Intent.RECHARGE:
            return self.amount is None
        return self.intent is Intent.UNKNOWN


@dataclass(frozen=True, slots=True)
class Words:
    """The phrases of one language, and how they are found."""

    recharge: tuple[str, ...]
    fuelling: tuple[str, ...]
    card: tuple[str, ...]
    queries: tuple[tuple[Intent, tuple[str, ...]], ...]
    no: tuple[str, ...]
    not_no: tuple[str, ...]
    help: tuple[str, ...]
    separator: str

    def hears(self, text: str, phrases: tuple[str, ...]) -> bool:
        edge = self.separator
        return any(f"{edge}{phrase}{edge}" in f"{edge}{text}{edge}" for phrase in phrases)


CHINESE = Words(
    recharge=lexicon.RECHARGE_ZH,
    fuelling=lexicon.FUELLING_ZH,
    card=lexicon.CARD_ZH,
    queries=(
        (Intent.ORDER_STATE, lexicon.ORDER_ZH),
        (Intent.CHEAPEST_STATION, lexicon.CHEAPEST_ZH),
        (Intent.BALANCE, lexicon.BALANCE_ZH),
        (Intent.PRICE, lexicon.PRICE_ZH),
        (Intent.NEAREST_STATION, lexicon.NEAREST_ZH),
    ),
    no=lexicon.NO_ZH,
    not_no=lexicon.NOT_NO_ZH,
    help=lexicon.HELP_ZH,
    separator="",
)
ENGLISH = Words(
    recharge=lexicon.RECHARGE_EN,
    fuelling=lexicon.FUELLING_EN,
    card=lexicon.CARD_EN,
    queries=(
        (Intent.ORDER_STATE, lexicon.ORDER_EN),
        (Intent.CHEAPEST_STATION, lexicon.CHEAPEST_EN),
        (Intent.BALANCE, lexicon.BALANCE_EN),
        (Intent.PRICE, lexicon.PRICE_EN),
        (Intent.NEAREST_STATION, lexicon.NEAREST_EN),
    ),
    no=lexicon.NO_EN,
    not_no=lexicon.NOT_NO_EN,
    help=lexicon.HELP_EN,
    separator=" ",
)


def understand(transcript: str, *, locale: Locale) -> Understood:
    """Read a transcript; its language is that of its letters, and the caller's where it has none."""
    heard = normalise(transcript, chinese_by_default=locale == "zh-CN")
    words = CHINESE if heard.chinese else ENGLISH
    reader = chinese if heard.chinese else english
    parts = heard.text.split(CORRECTION)
    mentions = [reader.mentions(part) for part in parts]
    text = heard.text.replace(CORRECTION, f"{words.separator},{words.separator}")
    said = [each for part in mentions for each in part]
    amount = Amount(question=Question.UNCLEAR) if heard.unreadable else _amount(parts, mentions, reader.hedge(text))
    product, brand, tail = _product(text, said), _brand(text), _tail(said)
    intent, confidence = _intent(heard, text, words, amount, said)
    is_money = intent in {Intent.RECHARGE, Intent.CONFIRM}
    return Understood(
        intent=intent,
        amount=amount.money if is_money else None,
        question=amount.question if is_money else None,
        product=product,
        brand=brand,
        tail=tail,
        confidence=confidence,
        guess=_guess(text, words) if intent is Intent.UNKNOWN else None,
        bare_digits=_bare_digits(said),
    )


def _amount(parts: list[str], mentions: list[list[Mention]], hedge: Question | None) -> Amount:
    """A last part that names something else, such as a card, corrects that and leaves the amount alone."""
    last = parts[-1].strip(" ,.")
    retracted = len(parts) > 1 and not (_brand(last) or _tail(mentions[-1]) or _product(last, mentions[-1]))
    return resolve(mentions, retracted=retracted, hedge=hedge)


def _product(text: str, said: list[Mention]) -> Product | None:
    if any(word in text for word in lexicon.DIESEL):
        return Product.DIESEL_0
    named = {each.digits for each in said if each.sort in {Sort.GRADE, Sort.BARE} and each.digits in lexicon.PRODUCTS}
    # Who asks about two is told about all of them.
    return lexicon.PRODUCTS[named.pop()] if len(named) == 1 else None


def _bare_digits(said: list[Mention]) -> str:
    return next((each.digits for each in reversed(said) if each.sort is Sort.BARE and each.written), "")


def _brand(text: str) -> CardBrand | None:
    found = [(text.rfind(name), brand) for name, brand in lexicon.BRANDS if name in text]
    return max(found)[1] if found else None


def _tail(said: list[Mention]) -> str:
    return next((each.digits[-4:] for each in reversed(said) if each.sort is Sort.TAIL), "")


def _intent(heard: Normal, text: str, words: Words, amount: Amount, said: list[Mention]) -> tuple[Intent, int]:
    wants_money = amount.money is not None or amount.question is not None
    query = next((intent for intent, phrases in words.queries if words.hears(text, phrases)), None)
    if words.hears(text, words.help):
        return Intent.HELP, CERTAIN
    if words.hears(text, words.not_no):
        return Intent.UNKNOWN, UNLIKELY
    if _says_yes(heard, text, said):
        return Intent.CONFIRM, CERTAIN
    if amount.negated or _gives_up(text, words, wants_money=wants_money, query=query):
        return Intent.CANCEL, CERTAIN
    recharges, asks = words.hears(text, words.recharge), _is_question(text)
    if query is Intent.ORDER_STATE:
        return query, CERTAIN
    if query and (asks or not (recharges and wants_money)):
        # Beside 充值 a word such as 便宜 is chatter, where nothing is asked.
        chatter = recharges and not asks and query is not Intent.BALANCE
        return (Intent.RECHARGE, LIKELY) if chatter else (query, CERTAIN)
    if recharges or words.hears(text, words.fuelling) or amount.question is Question.LITRES:
        return Intent.RECHARGE, CERTAIN
    return _by_numbers(heard, text, words, said, wants_money=wants_money)


def _by_numbers(
    heard: Normal, text: str, words: Words, said: list[Mention], *, wants_money: bool
) -> tuple[Intent, int]:
    """Tell by the numbers alone what is meant."""
    sums = any(each.sort is Sort.MONEY for each in said) or words.hears(text, words.card) or CORRECTION in heard.text
    if wants_money and (sums or _little_else(text, words)):
        return Intent.RECHARGE, LIKELY
    if any(each.sort is Sort.GRADE for each in said):
        return Intent.PRICE, LIKELY
    if heard.text.startswith(CORRECTION) and not wants_money and len(text) <= NEAR_LENGTH_MIN:
        return Intent.CANCEL, LIKELY
    return Intent.UNKNOWN, UNLIKELY


def _gives_up(text: str, words: Words, *, wants_money: bool, query: Intent | None) -> bool:
    """Say whether it is a no: as a whole, or behind the last number; before a number it is part of a correction."""
    if query in {Intent.ORDER_STATE, Intent.BALANCE} and not words.hears(text, ("取消", "cancel")):
        return False
    if not wants_money:
        return words.hears(text, words.no)
    reader = chinese if not words.separator else english
    behind = max((each.end for each in reader.mentions(text)), default=0)
    rest = text[behind:] if not words.separator else " ".join(text.split()[behind:])
    return words.hears(rest, words.no)


def _little_else(text: str, words: Words) -> bool:
    """Say whether hardly anything was said beside the number."""
    reader = chinese if not words.separator else english
    spans = reader.mentions(text)
    if not words.separator:
        return sum(letter not in ASIDE_ZH for letter in _without(text, spans)) == 0
    kept = [
        word for place, word in enumerate(text.split()) if not any(each.start <= place < each.end for each in spans)
    ]
    return all(word in ASIDE_EN for word in kept)


def _is_question(text: str) -> bool:
    return any(
        mark in text
        for mark in ("吗", "多少", "什么", "几块", "哪", "没有", "了没", "how ", "what", "where", "has ", "did ")
    )


def _says_yes(heard: Normal, text: str, said: list[Mention]) -> bool:
    """Say whether the whole of it is a yes, with the amount at most: 好像不对 holds a yes and is none."""
    if CORRECTION in heard.text or heard.asks:
        return False
    if heard.chinese:
        return _consists_of_yes_zh(_without(text, said))
    kept = [word for place, word in enumerate(text.split()) if not any(each.start <= place < each.end for each in said)]
    rest = f" {' '.join(kept)} "
    certain = False
    for phrase in sorted(lexicon.YES_EN, key=len, reverse=True):
        if f" {phrase} " in rest:
            certain = True
            rest = rest.replace(f" {phrase} ", " ")
    return certain and all(word in lexicon.BESIDE_YES_EN for word in rest.split())


def _without(text: str, said: list[Mention]) -> str:
    kept: list[str] = []
    end = 0
    for each in said:
        kept.append(text[end : each.start])
        end = each.end
    return ",".join([*kept, text[end:]])


YES_RUN_ZH = re.compile(
    "|".join(sorted({*lexicon.YES_ZH, *lexicon.CERTAIN_ZH, *lexicon.BESIDE_YES_ZH}, key=len, reverse=True))
)


def _consists_of_yes_zh(rest: str) -> bool:
    if not RESERVED_ZH.isdisjoint(rest):
        return False
    place, certain = 0, False
    while place < len(rest):
        found = YES_RUN_ZH.match(rest, place)
        if not found:
            return False
        certain = certain or found.group() in lexicon.CERTAIN_ZH
        place = found.end()
    return certain


def _guess(text: str, words: Words) -> Intent | None:
    """Return the intent of a phrase of which one letter was heard wrong, for asking whether that was meant."""
    if not words.separator:
        near = (
            (intent, phrase)
            for intent, phrases in words.queries
            for phrase in phrases
            if len(phrase) >= NEAR_LENGTH_MIN
        )
        return next((intent for intent, phrase in near if _nearly_holds(text, phrase)), None)
    singles = {word for word in text.split() if len(word) >= NEAR_LENGTH_MIN}
    near = (
        (intent, phrase) for intent, phrases in words.queries for phrase in phrases if len(phrase) > NEAR_LENGTH_MIN
    )
    return next((intent for intent, phrase in near if any(_one_apart(word, phrase) for word in singles)), None)


def _nearly_holds(text: str, phrase: str) -> bool:
    size = len(phrase)
    return any(_one_apart(text[place : place + size], phrase) for place in range(len(text) - size + 1))


def _one_apart(one: str, other: str) -> bool:
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) == 1
