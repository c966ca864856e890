"""Cursors by themselves: what is one, and where a reader starts with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events.cursors import Cursor, CursorInvalid, GapReason, Standing, Start
from kernel.opaque import pack

EPOCH, OTHER = "0123456789ab", "ba9876543210"
STANDING = Standing("prices", EPOCH, position=9, purged=4)


@given(st.from_regex(r"[0-9a-f]{12}", fullmatch=True), st.text(max_size=40), st.integers(0, 2**62))
def test_a_cursor_is_read_as_it_was_written(epoch: str, stream: str, position: int) -> None:
    cursor = Cursor(epoch, stream, position)
    assert Cursor.read(cursor.text) == cursor


@given(st.text(max_size=80))
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        Cursor.read(text)


@pytest.mark.parametrize(
    "text",
    [
        pack(), pack(EPOCH, "prices"), pack(EPOCH, "prices", -1), pack(EPOCH, "prices", True),
        pack(EPOCH, "prices", 1.0), pack(EPOCH, "prices", "1"), pack(EPOCH, "prices", 1, 1), pack(EPOCH, 1, 1),
        pack(1, "prices", 1), pack(EPOCH[1:], "prices", 1), pack(EPOCH.upper(), "prices", 1),
        pack(EPOCH, "x" * 600, 1),
    ],
)  # fmt: skip
def test_what_only_looks_like_one_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        Cursor.read(text)


class TestStart:
    @pytest.mark.parametrize(
        ("after", "position", "gap"),
        [
            (None, 9, None),
            (Cursor(EPOCH, "prices", 9).text, 9, None),
            (Cursor(EPOCH, "prices", 4).text, 4, None),
            (Cursor(EPOCH, "prices", 3).text, 9, GapReason.HISTORY_GONE),
            (Cursor(EPOCH, "prices", 0).text, 9, GapReason.HISTORY_GONE),
            (Cursor(OTHER, "prices", 5).text, 9, GapReason.EPOCH_CHANGED),
            # In another epoch a position that is yet to come here is no contradiction.
            (Cursor(OTHER, "prices", 500).text, 9, GapReason.EPOCH_CHANGED),
        ],
    )
    def test_where_a_cursor_leads(self, after: str | None, position: int, gap: GapReason | None) -> None:
        assert Start.at(STANDING, after) == Start(STANDING, position, gap)

    @pytest.mark.parametrize(
        "after",
        ["", Cursor(EPOCH, "prices", 10).text, Cursor(EPOCH, "alerts", 5).text, Cursor(OTHER, "alerts", 5).text],
    )
    def test_what_leads_nowhere(self, after: str) -> None:
        with pytest.raises(CursorInvalid):
            Start.at(STANDING, after)
