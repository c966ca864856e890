"""English numbers, read and written. A number that could mean two things is not read; no I/O.

Read are five hundred, a hundred and twenty, fifteen hundred, one and a half thousand, 2k, 1,500 and 500. Not read are
five fifty (550, or 5.50) and five oh oh.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from domain.voice.numerals import UNCLEAR, Kind, Reading, written

ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SMALL = {word: value for value, word in enumerate(ONES)}
TIES = {word: value * 10 for value, word in enumerate(TENS) if word} | {"fourty": 40}
SCALES = {"hundred": 100, "thousand": 1_000, "k": 1_000}
JOINTS = frozenset({"and", "a", "an", "half", "point", "oh"})
WORDS = SMALL.keys() | TIES.keys() | SCALES.keys()
LENGTH_MAX = 14
HUNDRED, THOUSAND = 100, 1_000


def is_numeral(word: str) -> bool:
    """Say whether a word can stand in a number, apart from the joints that stand between."""
    return word in WORDS or is_written(word)


def is_written(word: str) -> bool:
    return word.isascii() and word.replace(".", "", 1).isdigit()


def read(words: Sequence[str]) -> Reading:
    """Read the words of one number."""
    if not words or len(words) > LENGTH_MAX:
        return UNCLEAR
    if len(words) == 1 and is_written(words[0]):
        return written(words[0])
    if len(words) > 1 and all(SMALL.get(word, 10) < 10 or word == "oh" for word in words):  # noqa: PLR2004 - digits
        return Reading(Kind.SPELLED, digits="".join(str(SMALL.get(word, 0)) for word in words))
    if "half" in words:
        return _with_half(list(words))
    if "point" in words or "oh" in words:
        return UNCLEAR
    value = _whole(list(words))
    return Reading(Kind.EXACT, value) if value is not None else UNCLEAR


def _with_half(words: list[str]) -> Reading:
    """Read 'one and a half thousand' and 'two and a half hundred'."""
    scale = SCALES.get(words[-1])
    if scale is None or words[1:-1] != ["and", "a", "half"]:
        return UNCLEAR
    head = 1 if words[0] in {"a", "one"} else SMALL.get(words[0], 0)
    return Reading(Kind.EXACT, Decimal(head * scale + scale // 2)) if 0 < head < 10 else UNCLEAR  # noqa: PLR2004


def _whole(words: list[str]) -> Decimal | None:
    """Read thousands, hundreds and the rest; `a` stands for one before a scale, `and` before the rest only."""
    if words[0] == "and" or words[-1] in {"and", "a", "an"}:
        return None
    thousands = [place for place, word in enumerate(words) if word in {"thousand", "k"}]
    if len(thousands) > 1:
        return None
    if not thousands:
        return _below_thousand(words, hundreds_max=100)
    place = thousands[0]
    head = _below_thousand(words[:place], hundreds_max=10)
    rest = words[place + 1 :]
    joined = bool(rest) and rest[0] == "and"
    if head is None or not head or (joined and "hundred" in rest):
        return None
    if not rest:
        return head * THOUSAND
    tail = _below_thousand(rest[1:] if joined else rest, hundreds_max=10)
    return head * THOUSAND + tail if tail and head == head.to_integral_value() and words[place] != "k" else None


def _below_thousand(words: list[str], *, hundreds_max: int) -> Decimal | None:
    """Read up to 999, or up to 9,999 where hundreds are counted on (fifteen hundred)."""
    if not words:
        return None
    if "hundred" not in words:
        return Decimal(1) if words in (["a"], ["an"]) else _below_hundred(words)
    if words.count("hundred") > 1:
        return None
    place = words.index("hundred")
    head = Decimal(1) if words[:place] == ["a"] else _below_hundred(words[:place])
    if head is None or not 0 < head < hundreds_max or head != head.to_integral_value() or not head % 10:
        return None
    rest = words[place + 1 :]
    rest = rest[1:] if rest and rest[0] == "and" else rest
    tail = _below_hundred(rest) if rest else Decimal(0)
    if tail is None or not 0 <= tail < HUNDRED or (rest and not tail):
        return None
    return head * HUNDRED + tail


def _below_hundred(words: list[str]) -> Decimal | None:
    """Read one or two words: twelve, twenty five; or written digits."""
    if len(words) == 1:
        word = words[0]
        if is_written(word):
            return written(word).value
        return Decimal(SMALL[word]) if word in SMALL else Decimal(TIES[word]) if word in TIES else None
    if len(words) == 2 and words[0] in TIES and 0 < SMALL.get(words[1], 0) < 10:  # noqa: PLR2004 - a digit
        return Decimal(TIES[words[0]] + SMALL[words[1]])
    return None


def write(number: int) -> str:
    """Say a whole number under a billion: one thousand two hundred and thirty-four."""
    if not 0 <= number < THOUSAND**3:
        raise ValueError("too large to be said")
    if number < THOUSAND:
        return _write_small(number)
    for scale, name in ((THOUSAND**2, "million"), (THOUSAND, "thousand")):
        if number >= scale:
            head, rest = divmod(number, scale)
            tail = f" {'and ' if rest < HUNDRED else ''}{write(rest)}" if rest else ""
            return f"{_write_small(head)} {name}{tail}"
    raise AssertionError("unreachable")


def _write_small(number: int) -> str:
    if number < len(ONES):
        return ONES[number]
    if number < HUNDRED:
        tens, ones = divmod(number, 10)
        return f"{TENS[tens]}-{ONES[ones]}" if ones else TENS[tens]
    hundreds, rest = divmod(number, HUNDRED)
    return f"{ONES[hundreds]} hundred" + (f" and {_write_small(rest)}" if rest else "")
