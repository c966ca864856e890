"""How two sides that tell of the same money are compared, one sorted line after another; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from kernel.states import BillEntryKind, DifferenceClass, DifferenceOutcome, DifferenceState

KEY_LENGTH_MAX = 96
STATE_LENGTH_MAX = 32

# Unresolved: it stands in suspense, or may soon.
LIVE = frozenset({DifferenceState.WAITING, DifferenceState.OPEN, DifferenceState.PROPOSED})
# What is bought has a value for whoever gets it beside what it costs us.
WITH_FACE_VALUE = frozenset({BillEntryKind.RECHARGE, BillEntryKind.REVERSAL})
# What a bill has said can be compared with our books again, without the bill.
BILL_HAS_IT = frozenset({DifferenceClass.AMOUNT_DIFF, DifferenceClass.STATUS_DIFF, DifferenceClass.LONG})


class Standing(StrEnum):
    """What a state means for the money: it has moved, it may still, or it will not."""

    SETTLED = "SETTLED"
    PENDING = "PENDING"
    VOID = "VOID"


class Entry(NamedTuple):
    """One line of either side. Sorted by kind and key.

    `amount_fen` is what a person reads in it, the face value of a recharge; `effect_fen` is what it does to the party's
    account once it is settled, negative where money leaves. `state` is the side's own word, `owner` the id of the user
    where that is known.
    """

    kind: str
    key: str
    standing: str
    state: str
    amount_fen: int
    effect_fen: int
    reference: str
    owner: str

    @property
    def name(self) -> tuple[str, str]:
        return self.kind, self.key

    @property
    def moved_fen(self) -> int:
        """What it has done to the party's account."""
        return self.effect_fen if self.standing == Standing.SETTLED else 0


def entry(
    kind: BillEntryKind,
    key: str,
    standing: Standing,
    *,
    state: str,
    amount_fen: int,
    effect_fen: int,
    reference: str = "",
    owner: UUID | None = None,
) -> Entry:
    """Return a line of either side. Raises ValueError where its texts do not fit into a line."""
    for text, length_max in ((key, KEY_LENGTH_MAX), (state, STATE_LENGTH_MAX), (reference, KEY_LENGTH_MAX)):
        if len(text) > length_max or not text.isprintable():
            raise ValueError("a text of the line is too long or not printable")
    if not key:
        raise ValueError("the line has no key")
    # Members of a StrEnum are slower to write and to compare than plain texts, and there are millions.
    name, stands = str(kind.value), str(standing.value)
    return Entry(name, key, stands, state, amount_fen, effect_fen, reference, str(owner) if owner else "")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is different about one key. SHORT has no line of the bill, LONG and DUPLICATE none of the books."""

    difference_class: DifferenceClass
    book: Entry | None
    bill: Entry | None

    @property
    def name(self) -> tuple[str, str]:
        line = self.bill or self.book
        assert line is not None
        return line.name

    @property
    def amount_fen(self) -> int:
        """What the bill says more than our books on the party's account."""
        return (self.bill.moved_fen if self.bill else 0) - (self.book.moved_fen if self.book else 0)

    @property
    def figures(self) -> str:
        """What both sides say; as long as that is the same, it is the same difference."""
        return "/".join(
            f"{line.state}:{line.amount_fen}:{line.moved_fen}" if line else "-" for line in (self.book, self.bill)
        )


def compare(book: Entry | None, bill: Sequence[Entry]) -> list[Finding]:
    """Return what differs between our line of a key and the bill's lines of it; nothing where they agree.

    A bill may name a key twice while it is under way and once more when it is settled, so only a second settled line
    is a double.
    """
    if not bill:
        return [Finding(DifferenceClass.SHORT, book, None)] if book else []
    settled = [line for line in bill if line.standing == Standing.SETTLED]
    lines = settled or list(bill)
    first = next((line for line in lines if book and not _pair(book, line)), lines[0])
    found = _pair(book, first)
    extra = [line for line in settled if line is not first]
    if extra:
        found.append(Finding(DifferenceClass.DUPLICATE, None, _sum(extra)))
    return found


def _pair(book: Entry | None, bill: Entry) -> list[Finding]:
    if book is None:
        return [Finding(DifferenceClass.LONG, None, bill)]
    if bill.standing == Standing.PENDING:
        # It was under way when the bill was made, which contradicts nothing that has come of it since.
        return []
    if book.standing != bill.standing:
        return [Finding(DifferenceClass.STATUS_DIFF, book, bill)]
    other_value = bill.standing == Standing.SETTLED and book.amount_fen != bill.amount_fen
    if book.moved_fen != bill.moved_fen or (other_value and bill.kind in WITH_FACE_VALUE):
        return [Finding(DifferenceClass.AMOUNT_DIFF, book, bill)]
    return []


def _sum(lines: Sequence[Entry]) -> Entry:
    amount_fen, effect_fen = sum(line.amount_fen for line in lines), sum(line.effect_fen for line in lines)
    return lines[0]._replace(amount_fen=amount_fen, effect_fen=effect_fen)


def merge(books: Iterable[Entry], bill: Iterable[Entry]) -> Iterator[tuple[Entry | None, list[Entry]]]:
    """Bring both sides' lines of each key together, in one pass over two sides that are sorted by kind and key."""
    ours, theirs = _grouped(books), _grouped(bill)
    mine, its = next(ours, None), next(theirs, None)
    while mine or its:
        if its is None or (mine and mine[0].name < its[0].name):
            assert mine is not None
            yield _one(mine), []
            mine = next(ours, None)
        elif mine is None or its[0].name < mine[0].name:
            yield None, its
            its = next(theirs, None)
        else:
            yield _one(mine), its
            mine, its = next(ours, None), next(theirs, None)


def _grouped(lines: Iterable[Entry]) -> Iterator[list[Entry]]:
    for _name, group in groupby(lines, key=lambda line: line[:2]):
        yield list(group)


def _one(lines: list[Entry]) -> Entry:
    """Several of our own lines of one key are parts of one movement."""
    return lines[0] if len(lines) == 1 else _sum(lines)


def outcomes_of(amount_fen: int) -> frozenset[DifferenceOutcome]:
    """Return how a difference can end; where no money is in suspense there is only writing it off."""
    return frozenset(DifferenceOutcome) if amount_fen else frozenset({DifferenceOutcome.WRITE_OFF})
