"""Global ids are read as base64 reads them, in either of its alphabets."""

from __future__ import annotations

import base64
import binascii
from uuid import UUID

import pytest

from kernel.ids import new_id
from schema.types.relay import global_id, key_of, parse_global_id

# Written in base64, it has letters that are others in each alphabet.
UNUSUAL = f"A~~?:{UUID(int=1)}"


def by_library(value: str) -> tuple[str, UUID] | None:
    try:
        padded = value + "=" * (-len(value) % 4)
        kind, _, key = base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition(":")
        return kind, UUID(key)
    except (ValueError, binascii.Error):
        return None


def test_what_is_written_is_read() -> None:
    key = new_id()
    assert parse_global_id(global_id("Station", key)) == ("Station", key)
    assert key_of(global_id("Station", key), "Station") == key
    assert key_of(global_id("Order", key), "Station") is None


def test_both_alphabets_are_read() -> None:
    common, other = base64.b64encode(UNUSUAL.encode()).decode(), base64.urlsafe_b64encode(UNUSUAL.encode()).decode()
    assert common != other
    for each in (common, other, other.rstrip("=")):
        assert parse_global_id(each) == ("A~~?", UUID(int=1)) == by_library(each)


@pytest.mark.parametrize(
    "nonsense", ["", "=", "====", "-", "A", "A===", "é", "U3Rh\n", "U3Rh U3Rh", "U3Rh=U3Rh", "LS0t"]
)
def test_nonsense_names_nothing(nonsense: str) -> None:
    assert parse_global_id(nonsense) is None
    assert by_library(nonsense) is None
