"""Other people's JSON: exactly the type, or nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateways.documents import Malformed, child, fen, moment_or_none, parse, text, text_or_none


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"x"', b"1", b"{", b'{"a":NaN}', b'\xff{"a":1}', b"[" * 100_000, b'{"a":1}x']
)
def test_only_an_object_is_a_document(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse(body)


@pytest.mark.parametrize("amount", [0, 1, 50_000, 10**13])
def test_an_amount_is_whole_fen(amount: int) -> None:
    assert fen({"total": amount}, "total") == amount


@pytest.mark.parametrize("amount", [None, True, 1.0, 500.5, "500", -1, 10**13 + 1, [], {}])
def test_an_amount_of_another_type_is_refused(amount: Any) -> None:
    with pytest.raises(Malformed, match="total"):
        fen({"total": amount}, "total")


def test_a_number_beyond_64_bits_is_no_amount() -> None:
    with pytest.raises(Malformed):
        fen(parse(b'{"total":18446744073709551616}'), "total")


@pytest.mark.parametrize("value", [None, "", 1, [], {}])
def test_a_required_text_is_there(value: Any) -> None:
    with pytest.raises(Malformed):
        text({"id": value}, "id")


def test_a_text_may_be_left_out_where_that_is_allowed_but_not_be_something_else() -> None:
    assert text_or_none({}, "reason") is None
    assert text_or_none({"reason": ""}, "reason") is None
    with pytest.raises(Malformed):
        text_or_none({"reason": 5}, "reason")


def test_a_child_is_an_object() -> None:
    with pytest.raises(Malformed, match="amount"):
        child({"amount": 5}, "amount")


def test_times_have_an_offset_and_become_utc() -> None:
    assert moment_or_none({"at": "2026-01-01T08:00:00+08:00"}, "at") == datetime(2026, 1, 1, tzinfo=UTC)
    assert moment_or_none({}, "at") is None
    for wrong in ("2026-01-01T08:00:00", "yesterday", 1767225600):
        with pytest.raises(Malformed, match="at"):
            moment_or_none({"at": wrong}, "at")
