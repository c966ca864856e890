"""How much is meant, out of every number that was said: one amount or a reason to ask back; no I/O.

A wrong amount is the worst that can happen here, so whatever can mean two things is asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from domain.voice.lexicon import GRADES
from kernel.money import FEN_PER_YUAN, Money

TAIL_DIGITS = 4
# A written number of four digits that is no round amount may be the end of a card's number.
ROUND_YUAN = 10
BARE_MIN_YUAN, BARE_MAX_YUAN = 10, 100_000
SAYABLE_MAX_FEN = 10**11


class Sort(StrEnum):
    """What a number counts."""

    MONEY = "MONEY"
    BARE = "BARE"  # nothing says what it counts
    GRADE = "GRADE"
    TAIL = "TAIL"
    LITRES = "LITRES"
    COUNT = "COUNT"
    VAGUE = "VAGUE"
    FOREIGN = "FOREIGN"
    UNCLEAR = "UNCLEAR"
    OTHER = "OTHER"  # a time, a distance, a date


class Question(StrEnum):
    """Why the amount must be asked."""

    SEVERAL = "SEVERAL"
    VAGUE = "VAGUE"
    LITRES = "LITRES"
    FOREIGN = "FOREIGN"
    UNCLEAR = "UNCLEAR"
    MAYBE_OTHER = "MAYBE_OTHER"  # it may be a grade of petrol or the end of a card's number
    LATER = "LATER"  # it hangs on a time or a condition, and a recharge is made now or not at all
    RETRACTED = "RETRACTED"


@dataclass(frozen=True, slots=True)
class Mention:
    """A number at its place in the text. `digits` are those of a card or a grade, `written` says that they came as
    digits, and `negated` that the number is not wanted.
    """

    start: int
    end: int
    sort: Sort
    fen: int | None = None
    digits: str = ""
    written: bool = False
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Amount:
    """What was understood of the amount: at most one of the two; neither where none was said."""

    money: Money | None = None
    question: Question | None = None
    negated: bool = False


AMOUNT_LIKE = frozenset({Sort.MONEY, Sort.BARE, Sort.VAGUE, Sort.FOREIGN, Sort.UNCLEAR, Sort.LITRES, Sort.COUNT})
ASKED = {
    Sort.VAGUE: Question.VAGUE,
    Sort.LITRES: Question.LITRES,
    Sort.FOREIGN: Question.FOREIGN,
    Sort.UNCLEAR: Question.UNCLEAR,
    Sort.COUNT: Question.SEVERAL,
}


def fen_of(yuan: Decimal) -> int | None:
    """Return the fen; None for a fraction of one, or for more than anybody could say."""
    fen = yuan * FEN_PER_YUAN
    return int(fen) if fen == fen.to_integral_value() and 0 <= fen < SAYABLE_MAX_FEN else None


def resolve(parts: Sequence[Sequence[Mention]], *, retracted: bool, hedge: Question | None) -> Amount:
    """Decide on the mentions of a transcript, in the parts between its corrections.

    The last part with an amount counts. `retracted` says that nothing follows the last correction; `hedge` why the
    words around leave the amount open.
    """
    said = [[each for each in part if each.sort in AMOUNT_LIKE] for part in parts]
    numbered = [part for part in said if part]
    if not numbered:
        return Amount()
    if retracted and not said[-1]:
        return Amount(question=Question.RETRACTED)
    mentions = numbered[-1]
    wanted = [each for each in mentions if not each.negated]
    if not wanted:
        return Amount(question=Question.RETRACTED, negated=True)
    if len(wanted) < len(mentions) and wanted[0].start < max(each.start for each in mentions if each.negated):
        # 充五百不是三百 is 五百 to one and 三百 to the other.
        return Amount(question=Question.SEVERAL)
    for each in wanted:
        if each.sort in ASKED:
            return Amount(question=ASKED[each.sort])
    if hedge:
        return Amount(question=hedge)
    return _one_of(wanted)


def _one_of(wanted: Sequence[Mention]) -> Amount:
    exact = [each for each in wanted if each.sort is Sort.MONEY]
    bare = [each for each in wanted if each.sort is Sort.BARE]
    if exact and all(each.digits in GRADES for each in bare):
        # 95加三百块: the one with its unit is the amount, the other one the petrol.
        bare = []
    values = {each.fen for each in (*exact, *bare)}
    if None in values or values == {0}:
        return Amount(question=Question.UNCLEAR)
    if len(values) > 1:
        return Amount(question=Question.SEVERAL)
    (fen,) = values
    assert fen is not None
    if bare and not exact and may_be_other(bare[0]):
        return Amount(question=Question.MAYBE_OTHER)
    return Amount(money=Money(fen))


def may_be_other(mention: Mention) -> bool:
    """Say whether a number without a unit may be a grade of petrol or a card instead."""
    assert mention.fen is not None
    yuan = Decimal(mention.fen) / FEN_PER_YUAN
    if str(yuan) in GRADES or not BARE_MIN_YUAN <= yuan < BARE_MAX_YUAN:
        return True
    return mention.written and len(mention.digits) == TAIL_DIGITS and yuan % ROUND_YUAN != 0
