from __future__ import annotations

import re
from uuid import UUID

import pytest

from kernel.ids import new_id, numbered, short_text


def test_ids_are_uuid_version_7_and_sort_by_time() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert all(identifier.version == 7 and identifier.variant == "specified in RFC 4122" for identifier in ids)
    assert len(set(ids)) == 1_000
    stamps = [identifier.int >> 80 for identifier in ids]
    assert stamps == sorted(stamps)


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
