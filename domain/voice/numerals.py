"""Chinese numerals, read and written. A number that could mean two things is not read; no I/O.

Read are the ways in which amounts are said: 五百, 两千, 一千五 (1,500), 两百五 (250), 一千零五, 1千5, 1.5千, 500.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise

DIGITS = {
    "零": 0, "〇": 0, "一": 1, "幺": 1, "二": 2, "两": 2, "俩": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8,
    "九": 9,
}  # fmt: skip
UNITS = {"十": 10, "百": 100, "千": 1_000, "k": 1_000}
MYRIAD = {"万": 10_000, "w": 10_000}
TWENTIES = {"廿": "二十", "卅": "三十"}
NUMERALS = frozenset("0123456789.点") | DIGITS.keys() | UNITS.keys() | MYRIAD.keys() | TWENTIES.keys() | {"亿"}
# Longer than any amount that can be recharged, written out.
LENGTH_MAX = 20
ASCII_DIGITS_MAX = 9
DECIMAL_PLACES_MAX = 4

WORDS = "零一二三四五六七八九"
GROUP = 10_000


class Kind(StrEnum):
    EXACT = "EXACT"
    RANGE = "RANGE"  # 三五百, 一两千
    SPELLED = "SPELLED"  # 五零零: digits one by one, as in a number of a card
    UNCLEAR = "UNCLEAR"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a run of numerals says. `value` stands where it says one thing; `digits` where it is written in digits."""

    kind: Kind
    value: Decimal | None = None
    digits: str = ""


UNCLEAR = Reading(Kind.UNCLEAR)

# A token is a written group of digits, a spoken digit, a unit or a zero.
Token = str | int


def read(run: str) -> Reading:
    """Read a whole run of numerals."""
    if not run or len(run) > LENGTH_MAX:
        return UNCLEAR
    for short, long in TWENTIES.items():
        run = run.replace(short, long)
    if run.isascii() and run.replace(".", "", 1).isdigit():
        return written(run)
    run = run.replace("点", ".")
    if run.count(".") > 1:
        return UNCLEAR
    if "." in run:
        return _decimal(*run.split("."))
    if len(run) > 1 and all(letter in DIGITS for letter in run):
        return Reading(Kind.SPELLED, digits="".join(str(DIGITS[letter]) for letter in run))
    tokens = _tokens(run)
    if _is_range(tokens):
        return Reading(Kind.RANGE)
    value = _whole(tokens)
    return Reading(Kind.EXACT, Decimal(value)) if value is not None else UNCLEAR


def written(text: str) -> Reading:
    """Read a number that stands there in digits."""
    whole, _, places = text.partition(".")
    if not whole or text.endswith(".") or len(whole) > ASCII_DIGITS_MAX or len(places) > DECIMAL_PLACES_MAX:
        return UNCLEAR
    if len(whole) > 1 and whole.startswith("0"):
        return Reading(Kind.SPELLED, digits=text) if not places else UNCLEAR
    return Reading(Kind.EXACT, Decimal(text), digits=text)


def _decimal(whole: str, places: str) -> Reading:
    """Read 三点五, 1.5千 and 一百二十点五."""
    scale = 1
    if places and (places[-1] in UNITS or places[-1] in MYRIAD):
        scale = UNITS.get(places[-1]) or MYRIAD[places[-1]]
        places = places[:-1]
    digits = "".join(
        letter if letter.isdigit() and letter.isascii() else str(DIGITS.get(letter, "?")) for letter in places
    )
    left = read(whole)
    if left.value is None or not digits or "?" in digits or len(digits) > DECIMAL_PLACES_MAX:
        return UNCLEAR
    if scale in {UNITS["十"], UNITS["百"]} or (scale > 1 and left.value >= UNITS["百"]):
        # 五点五百 is not said, and may be 五百 twice over.
        return UNCLEAR
    return Reading(Kind.EXACT, (left.value + Decimal(f"0.{digits}")) * scale)


def _tokens(run: str) -> list[Token]:
    """Split a run: written groups of digits become numbers, 5 and 五 alike; everything else stays a letter."""
    tokens: list[Token] = []
    written = ""
    for letter in run:
        if letter.isascii() and letter.isdigit():
            written += letter
            continue
        if written:
            tokens.append(int(written))
            written = ""
        tokens.append(DIGITS[letter] if DIGITS.get(letter) else letter)
    if written:
        tokens.append(int(written))
    return [WORDS[0] if token in (0, "〇") else token for token in tokens]


def _is_range(tokens: list[Token]) -> bool:
    """Two digits side by side stand for about so many: 五六百, 七八十, 一百五六."""
    return any(
        isinstance(left, int) and isinstance(right, int) and 0 < left <= right <= 9  # noqa: PLR2004 - digits
        for left, right in pairwise(tokens)
    )


def _whole(tokens: list[Token]) -> int | None:
    places = [place for place, token in enumerate(tokens) if token in MYRIAD]
    if "亿" in tokens or len(places) > 1:
        return None
    if not places:
        return _section(tokens)
    left, right = tokens[: places[0]], tokens[places[0] + 1 :]
    # Before 万 stands a number of its own, which may be written: 12万.
    head = left[0] if len(left) == 1 and isinstance(left[0], int) and 0 < left[0] < GROUP else _section(left)
    if not isinstance(head, int) or head <= 0:
        return None
    if not right:
        return head * GROUP
    if len(right) == 1 and isinstance(right[0], int):
        return head * GROUP + right[0] * UNITS["千"] if right[0] < UNITS["十"] else None
    has_zero = right[0] == WORDS[0]
    tail = _section(right[1:] if has_zero else right)
    # A level that is skipped is said with a zero; without one it is not clear which level is meant.
    if tail is None or has_zero == (tail >= UNITS["千"]):
        return None
    return head * GROUP + tail


def _section(tokens: list[Token]) -> int | None:
    """Read what stays under 10,000: 一千二百三十四, and in short 一千五 or 两百五. None where it is not well formed."""
    total, last, pending, zero = 0, GROUP, 0, False
    for token in tokens:
        if isinstance(token, int):
            if pending or not 0 < token < UNITS["十"]:
                return None
            pending = token
        elif token == WORDS[0]:
            if zero or pending or not total:
                return None
            zero = True
        else:
            step = _step(UNITS.get(token, GROUP), total=total, last=last, pending=pending, zero=zero)
            if step is None:
                return None
            total, last, pending, zero = total + step, UNITS[token], 0, False
    return _ending(total, last, pending, zero)


def _step(unit: int, *, total: int, last: int, pending: int, zero: bool) -> int | None:
    """Return what a unit adds. Each comes under the one before it; one that is skipped is marked by a zero."""
    if unit >= last:
        return None
    if not pending:
        if unit != UNITS["十"] or zero:
            return None
        pending = 1
    skips = bool(total) and unit * 10 < last
    return pending * unit if skips == zero else None


def _ending(total: int, last: int, pending: int, zero: bool) -> int | None:
    if not pending:
        return None if zero or not total else total
    if not total or zero:
        # After a zero comes a level that is skipped: 一千零五, but not 二十零五.
        return None if zero and last == UNITS["十"] else total + pending
    return total + pending * (last // 10)


def write(number: int) -> str:
    """Say a whole number under 10,000 million, as it is said before 元: 两千, 一千零五十, 一万零五百."""
    if not 0 <= number < GROUP * GROUP * UNITS["百"]:
        raise ValueError("too large to be said")
    if number == 0:
        return WORDS[0]
    groups = []
    while number:
        number, group = divmod(number, GROUP)
        groups.append(group)
    text = ""
    for place in range(len(groups) - 1, -1, -1):
        group = groups[place]
        if not group:
            continue
        if text and (group < UNITS["千"] or not groups[place + 1]):
            text += WORDS[0]
        text += _write_group(group, first=not text) + ("", "万", "亿")[place]
    return text


def _write_group(group: int, *, first: bool) -> str:
    text, zero = "", False
    for unit, name in ((1_000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = group // unit % 10
        if not digit:
            zero = bool(text)
            continue
        text += (WORDS[0] if zero else "") + _digit_before(digit, unit, alone=group == 2) + name  # noqa: PLR2004
        zero = False
    # A number that begins with ten says 十五, not 一十五.
    return text[1:] if first and text.startswith("一十") else text


def _digit_before(digit: int, unit: int, *, alone: bool) -> str:
    """两 stands before 百, 千 and 万, and alone before what is counted; 二 everywhere else."""
    return "两" if digit == 2 and (unit >= UNITS["百"] or alone) else WORDS[digit]  # noqa: PLR2004


def write_digits(digits: str) -> str:
    """Say digits one by one, as of a card."""
    return "".join(WORDS[int(digit)] for digit in digits)
