"""The comparer by itself: a table of what two sides can say, and books that are distorted at random."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.reconciliation.rules import Entry, Standing, compare, entry, merge, outcomes_of
from domain.reconciliation.sorting import Sorter
from kernel.states import BillEntryKind, DifferenceClass, DifferenceOutcome

PAYMENT, REFUND = BillEntryKind.PAYMENT, BillEntryKind.REFUND


def line(
    key: str = "a",
    amount_fen: int = 100,
    standing: Standing = Standing.SETTLED,
    kind: BillEntryKind = PAYMENT,
) -> Entry:
    effect_fen = -amount_fen if kind is REFUND else amount_fen
    return entry(kind, key, standing, state=standing.value, amount_fen=amount_fen, effect_fen=effect_fen)


def recharge(*, amount_fen: int = 100, cost_fen: int = 90) -> Entry:
    """A recharge whose cost is not its face value."""
    return line("r", amount_fen, kind=BillEntryKind.RECHARGE)._replace(effect_fen=-cost_fen)


PENDING, VOID = Standing.PENDING, Standing.VOID


@pytest.mark.parametrize(
    ("book", "bill", "expected"),
    [
        (line(), [line()], []),
        (None, [line()], [(DifferenceClass.LONG, 100)]),
        (line(), [], [(DifferenceClass.SHORT, -100)]),
        (line(), [line(amount_fen=130)], [(DifferenceClass.AMOUNT_DIFF, 30)]),
        (line(kind=REFUND), [line(amount_fen=130, kind=REFUND)], [(DifferenceClass.AMOUNT_DIFF, -30)]),
        (line(), [line(standing=VOID)], [(DifferenceClass.STATUS_DIFF, -100)]),
        (line(standing=PENDING), [line()], [(DifferenceClass.STATUS_DIFF, 100)]),
        (line(standing=VOID), [line()], [(DifferenceClass.STATUS_DIFF, 100)]),
        (line(standing=PENDING), [line(standing=VOID)], [(DifferenceClass.STATUS_DIFF, 0)]),
        (line(standing=VOID), [line(standing=VOID)], []),
        (line(), [line(standing=PENDING)], []),
        (line(), [line(standing=PENDING), line()], []),
        (line(), [line(), line()], [(DifferenceClass.DUPLICATE, 100)]),
        (line(), [line(), line(), line()], [(DifferenceClass.DUPLICATE, 200)]),
        (line(), [line(amount_fen=130), line()], [(DifferenceClass.DUPLICATE, 130)]),
        (None, [line(), line()], [(DifferenceClass.LONG, 100), (DifferenceClass.DUPLICATE, 100)]),
        (None, [line(standing=PENDING)], [(DifferenceClass.LONG, 0)]),
        (None, [], []),
        (recharge(), [recharge()], []),
        (recharge(), [recharge(cost_fen=91)], [(DifferenceClass.AMOUNT_DIFF, -1)]),
        # Our deposit has paid the same, but the card was charged with something else.
        (recharge(), [recharge(amount_fen=50)], [(DifferenceClass.AMOUNT_DIFF, 0)]),
        (recharge(), [recharge(amount_fen=50), recharge()], [(DifferenceClass.DUPLICATE, -90)]),
    ],
)
def test_what_two_sides_can_say(
    book: Entry | None, bill: list[Entry], expected: list[tuple[DifferenceClass, int]]
) -> None:
    assert [(found.difference_class, found.amount_fen) for found in compare(book, bill)] == expected


@pytest.mark.parametrize("key", ["", "a\tb", "a\nb", "k" * 97])
def test_a_key_that_no_line_can_hold_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="line"):
        line(key)


def test_where_no_money_is_in_suspense_there_is_nothing_to_pay_back() -> None:
    assert outcomes_of(0) == {DifferenceOutcome.WRITE_OFF}
    assert outcomes_of(1) == outcomes_of(-1) == set(DifferenceOutcome)


KINDS = st.sampled_from([PAYMENT, REFUND])
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=0x4E2D, categories=("L", "N", "P", "S")), min_size=1)
LINES = st.builds(line, NAMES.map(lambda name: name[:20]), st.integers(1, 10**9), st.sampled_from(Standing), KINDS)


def sort(lines: Sequence[Entry], lines_max: int) -> list[Entry]:
    with TemporaryDirectory() as name:
        sorter = Sorter(Path(name), "lines", lines_max=lines_max)
        for start in range(0, len(lines), 3):
            sorter.add(lines[start : start + 3])
        assert sorter.count == len(lines)
        assert sorter.moved_fen == sum(each.moved_fen for each in lines)
        return list(sorter.sorted())


@given(st.lists(LINES, max_size=40), st.integers(1, 9))
def test_sorting_in_files_brings_the_lines_of_each_key_together(lines: list[Entry], lines_max: int) -> None:
    found = sort(lines, lines_max)
    assert sorted(found) == sorted(lines)
    assert [each.name for each in found] == sorted(each.name for each in lines)


class Distortion:
    """True lines, and a bill of them with one thing wrong with each of some."""

    def __init__(self, data: st.DataObject) -> None:
        names = data.draw(st.sets(st.tuples(KINDS, NAMES), max_size=30), label="names")
        amounts = st.integers(1, 10**8)
        self.books = [line(key, data.draw(amounts), kind=kind) for kind, key in sorted(names)]
        self.bill: list[Entry] = []
        self.expected: set[tuple[DifferenceClass, tuple[str, str], int]] = set()
        for each in self.books:
            self._bill(each, data.draw(st.sampled_from([None, *DISTORTIONS]), label=each.key))
        for number in range(data.draw(st.integers(0, 5), label="strangers")):
            stranger = line(f"\u4e2d{number}", data.draw(amounts))
            self.bill.append(stranger)
            self.expected.add((DifferenceClass.LONG, stranger.name, stranger.moved_fen))
        self.bill = data.draw(st.permutations(self.bill), label="order")

    def _bill(self, each: Entry, distortion: DifferenceClass | None) -> None:
        more = 1 if each.effect_fen > 0 else -1
        lines, amount_fen = {
            None: ([each], 0),
            DifferenceClass.SHORT: ([], -each.moved_fen),
            DifferenceClass.AMOUNT_DIFF: (
                [each._replace(amount_fen=each.amount_fen + 1, effect_fen=each.effect_fen + more)],
                more,
            ),
            DifferenceClass.STATUS_DIFF: ([each._replace(standing=VOID, state="CLOSED")], -each.moved_fen),
            DifferenceClass.DUPLICATE: ([each, each._replace(reference="again")], each.moved_fen),
        }[distortion]
        self.bill += lines
        if distortion:
            self.expected.add((distortion, each.name, amount_fen))


DISTORTIONS = (
    DifferenceClass.SHORT,
    DifferenceClass.AMOUNT_DIFF,
    DifferenceClass.STATUS_DIFF,
    DifferenceClass.DUPLICATE,
)


@given(st.data())
def test_exactly_what_was_distorted_is_found(data: st.DataObject) -> None:
    distorted = Distortion(data)
    lines_max = data.draw(st.integers(1, 7), label="lines in memory")
    pairs = merge(iter(sort(distorted.books, lines_max)), iter(sort(distorted.bill, lines_max)))
    found = [each for book, bill in pairs for each in compare(book, bill)]
    assert {(each.difference_class, each.name, each.amount_fen) for each in found} == distorted.expected
    assert len(found) == len(distorted.expected)
    # With what was found the books are what the bill says.
    books = sum(each.moved_fen for each in distorted.books) + sum(each.amount_fen for each in found)
    assert books == sum(each.moved_fen for each in distorted.bill)
