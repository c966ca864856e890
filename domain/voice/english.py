"""The numbers in a normalised English transcript, and what each of them counts; no I/O. One pass over its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from domain.voice import english_numbers as numbers
from domain.voice.amounts import Mention, Question, Sort, fen_of
from domain.voice.lexicon import GRADES
from domain.voice.numerals import Kind, Reading

YUAN = frozenset({"yuan", "kuai", "rmb", "renminbi", "cny", "yuans", "¥"})
FOREIGN = frozenset({"dollar", "dollars", "bucks", "usd", "euro", "euros", "pound", "pounds", "$", "quid", "cents"})
LITRES = frozenset({"litre", "litres", "liter", "liters", "l", "gallon", "gallons"})
COUNTS = frozenset({"times", "cards", "recharges", "orders", "each"})
OTHER = frozenset({
    "minutes", "minute", "hours", "hour", "km", "kilometers", "kilometres", "kilometer", "meters", "metres", "miles",
    "mile", "o'clock", "pm", "am", "days", "stations", "kilometre", "seconds",
})  # fmt: skip
UNCLEAR = frozenset({
    "percent", "%", "+", "*", "/", "plus", "minus", "to", "ish", "something", "odd", "grand", "half", "point", "by",
})  # fmt: skip
GRADE_AFTER = frozenset({"octane", "gasoline", "petrol", "ron", "gas", "fuel", "unleaded", "#", "diesel"})
GRADE_BEFORE = frozenset({"number", "octane", "grade", "#", "no."})
TAIL_BEFORE = (
    ("ending",), ("ending", "in"), ("ending", "with"), ("ends", "in"), ("ends", "with"), ("card", "number"),
    ("card",), ("digits",), ("digits", "are"), ("last", "four"), ("code",), ("pin",), ("that", "ends", "in"),
)  # fmt: skip
VAGUE_BEFORE = frozenset({
    "about", "around", "roughly", "approximately", "some", "nearly", "almost", "over", "few", "several", "couple",
    "maybe", "least", "most", "than", "somewhere", "like", "circa", "under",
})  # fmt: skip
VAGUE_PHRASES = (
    " or so", " more or less", " give or take", " a few ", " a couple", " at least ", " at most ", " up to ",
    " more than ", " less than ", " ish", " half of ", " percent of ", " no more ",
)  # fmt: skip
LATER_PHRASES = (
    " tomorrow ", " tonight ", " later ", " next week ", " next month ", " every ", " each month ", " each week ",
    " monthly ", " weekly ", " daily ", " if ", " when ", " whenever ", " unless ", " after ", " automatically ",
)  # fmt: skip
EACH_PHRASES = (" both ", " each ", " all cards ", " all my cards ", " two cards ", " respectively ", " apiece ")
HEDGES = ((VAGUE_PHRASES, Question.VAGUE), (EACH_PHRASES, Question.SEVERAL), (LATER_PHRASES, Question.LATER))
UNCLEAR_BEFORE = frozenset(
    {"-", "minus", "negative", "+", "plus", "half", "quarter", "double", "twice", "triple", "third", "x", "between",
     "dozen", "point"}
)  # fmt: skip
# Before one of these, or at the end, a number without a unit is over.
AFTER_BARE = frozenset({
    "", ",", "a", "again", "and", "around", "at", "cheapest", "cost", "for", "from", "here", "how", "i", "in",
    "instead", "into", "is", "it", "my", "near", "nearby", "no", "not", "now", "on", "only", "onto", "or", "per",
    "please", "right", "thanks", "that", "the", "then", "this", "to", "today", "what", "with", "yes",
})  # fmt: skip
ARTICLES = frozenset({"a", "an"})
NEGATIONS = frozenset({"not", "don't", "dont", "never", "without", "except", "cancel", "instead"})
NEGATION_REACH = 4
FEN_UNITS = {"jiao": 10, "fen": 1}


def mentions(text: str) -> list[Mention]:
    """Return the mentions; their places are those of words."""
    words = text.split()
    found: list[Mention] = []
    place, last_end = 0, 0
    while place < len(words):
        end = _run_end(words, place)
        if end == place:
            place += 1
            continue
        mention = _mention(words, place, end)
        found.append(replace(mention, negated=_negated(words, place, last_end)))
        place = last_end = mention.end
    return found


def hedge(text: str) -> Question | None:
    """Return why the words around an amount leave it open."""
    return next(
        (question for phrases, question in HEDGES if any(phrase in f" {text} " for phrase in phrases)),
        None,
    )


def _run_end(words: Sequence[str], start: int) -> int:
    """Return where the number ends that begins at a word; the word itself where none does."""
    if not numbers.is_numeral(words[start]) and not _opens(words, start):
        return start
    end = start + 1
    while end < len(words):
        word, following = words[end], words[end + 1] if end + 1 < len(words) else ""
        if (
            numbers.is_numeral(word)
            or (word == "half" and words[end - 1] == "a" and following in numbers.SCALES)
            or (word == "and" and (numbers.is_numeral(following) or list(words[end : end + 3]) == ["and", "a", "half"]))
            or (word in ARTICLES and words[end - 1] == "and" and following == "half")
            or word in {"oh", "o"}
            or (word == "point" and numbers.is_numeral(following))
        ):
            end += 1
        else:
            break
    return end


def _opens(words: Sequence[str], place: int) -> bool:
    """Say whether an article begins a number, as in a hundred."""
    return words[place] in ARTICLES and place + 1 < len(words) and words[place + 1] in numbers.SCALES


def _mention(words: Sequence[str], start: int, end: int) -> Mention:
    reading = numbers.read(["oh" if word == "o" else word for word in words[start:end]])
    before = words[start - 1] if start else ""
    after = words[end] if end < len(words) else ""
    if _is_tail(words, start, reading):
        return Mention(start, end, Sort.TAIL, digits=reading.digits)
    if before in UNCLEAR_BEFORE or words[start].startswith("-"):
        return Mention(start, end, Sort.UNCLEAR)
    if before in FOREIGN or after in FOREIGN:
        return Mention(start, end, Sort.FOREIGN)
    if before in VAGUE_BEFORE or (after == "or" and list(words[end : end + 2]) == ["or", "so"]):
        return Mention(start, end, Sort.VAGUE)
    if before in YUAN or after in YUAN:
        return _money(words, start, end, reading, has_unit=after in YUAN)
    return _by_unit(words, start, end, reading, before, after)


def _by_unit(words: Sequence[str], start: int, end: int, reading: Reading, before: str, after: str) -> Mention:
    digits = reading.digits or (str(reading.value) if reading.value is not None else "")
    if digits in GRADES and (after in GRADE_AFTER or before in GRADE_BEFORE):
        return Mention(start, end, Sort.GRADE, digits=digits)
    sorts = ((LITRES, Sort.LITRES), (COUNTS, Sort.COUNT), (OTHER, Sort.OTHER), (UNCLEAR, Sort.UNCLEAR))
    for units, sort in sorts:
        if after in units and not _is_destination(words, end):
            return Mention(start, end, sort)
    if after in FEN_UNITS:
        return Mention(start, end + 1, Sort.UNCLEAR)
    fen = fen_of(reading.value) if reading.value is not None else None
    if fen is None or after not in AFTER_BARE:
        # What follows may be a unit that is not known here.
        return Mention(start, end, Sort.UNCLEAR)
    return Mention(start, end, Sort.BARE, fen=fen, digits=digits, written=bool(reading.digits))


def _is_destination(words: Sequence[str], place: int) -> bool:
    """Say whether the words are those of 'five hundred to my card', which is no range."""
    return (
        words[place] == "to"
        and place + 1 < len(words)
        and not numbers.is_numeral(words[place + 1])
        and not _opens(words, place + 1)
    )


def _money(words: Sequence[str], start: int, end: int, reading: Reading, *, has_unit: bool) -> Mention:
    fen = fen_of(reading.value) if reading.value is not None else None
    end += has_unit
    cents_end = _run_end(words, end) if end < len(words) and words[end] != "and" else end
    begin = end
    if end + 1 < len(words) and words[end] == "and":
        begin, cents_end = end + 1, _run_end(words, end + 1)
    if cents_end > begin and cents_end < len(words) and words[cents_end] in FEN_UNITS:
        cents = numbers.read(list(words[begin:cents_end])).value
        scale = FEN_UNITS[words[cents_end]]
        end = cents_end + 1
        fen = fen + int(cents) * scale if fen is not None and _is_small(cents) and cents is not None else None
    if fen is None or (end < len(words) and words[end] in UNCLEAR and not _is_destination(words, end)):
        return Mention(start, end, Sort.UNCLEAR)
    return Mention(start, end, Sort.MONEY, fen=fen)


def _is_small(cents: Decimal | None) -> bool:
    return cents is not None and cents == cents.to_integral_value() and 0 < cents < 100  # noqa: PLR2004


def _is_tail(words: Sequence[str], start: int, reading: Reading) -> bool:
    if reading.kind is Kind.UNCLEAR or len(reading.digits) < 3:  # noqa: PLR2004 - fewer digits name no card
        return False
    return any(tuple(words[max(0, start - len(phrase)) : start]) == phrase for phrase in TAIL_BEFORE)


def _negated(words: Sequence[str], start: int, last_end: int) -> bool:
    before = list(words[max(last_end, start - NEGATION_REACH) : start])
    while "," in before:
        before = before[before.index(",") + 1 :]
    return not NEGATIONS.isdisjoint(before)
