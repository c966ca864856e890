from __future__ import annotations

import re
from uuid import UUID

import pytest

from kernel.ids import TICKS_PER_MS, Ticks, new_id, numbered, short_text


def test_ids_are_uuid_version_7_and_sort_by_time() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert all(identifier.version == 7 and identifier.variant == "specified in RFC 4122" for identifier in ids)
    assert len(set(ids)) == 1_000
    assert ids == sorted(ids)
    assert len({identifier.int & ((1 << 62) - 1) for identifier in ids}) == 1_000


def test_ids_keep_their_order_where_the_clock_stands_still_or_is_set_back_a_little() -> None:
    moments = iter([5_000_000_000, 5_000_000_000, 4_999_000_000, 5_000_000_100, 1_000_000_000, 1_000_000_000])
    ticks = Ticks(lambda: next(moments))
    found = [ticks.next() for _ in range(6)]
    start = 5_000 * TICKS_PER_MS
    assert found[:4] == [start, start + 1, start + 2, start + 3]
    # A clock that was set back by seconds is believed.
    assert found[4:] == [1_000 * TICKS_PER_MS, 1_000 * TICKS_PER_MS + 1]


def test_short_text_keeps_the_order_of_ids() -> None:
    ids = [UUID(int=0), UUID(int=31), UUID(int=32), UUID(int=2**128 - 1)]
    texts = [short_text(identifier) for identifier in ids]
    assert texts == sorted(texts)
    assert texts[1] == "0" * 25 + "Z"
    assert len(set(texts)) == 4


def test_a_merchant_order_number_fits_the_channel() -> None:
    assert re.fullmatch(r"[0-9A-Z]{28}", numbered(new_id(), 7))


@pytest.mark.parametrize("number", [0, 100, -1])
def test_numbers_beyond_two_digits_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="1 to 99"):
        numbered(new_id(), number)
