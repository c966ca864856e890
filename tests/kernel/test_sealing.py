from __future__ import annotations

import os

import pytest

from kernel.sealing import SealBroken, Sealer


def test_what_is_sealed_opens_for_its_owner_only() -> None:
    sealer = Sealer(os.urandom(32))
    sealed = sealer.seal("1000111100000000001", owner="card-1")
    assert b"1000111" not in sealed
    assert sealer.open(sealed, owner="card-1") == "1000111100000000001"
    with pytest.raises(SealBroken):
        sealer.open(sealed, owner="card-2")
    with pytest.raises(SealBroken):
        Sealer(os.urandom(32)).open(sealed, owner="card-1")


def test_every_changed_byte_breaks_the_seal() -> None:
    sealer = Sealer(bytes(32))
    sealed = sealer.seal("9012345678901234", owner="card")
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1
        with pytest.raises(SealBroken):
            sealer.open(bytes(altered), owner="card")


def test_digests_find_equal_values_and_need_the_key() -> None:
    assert Sealer(bytes(32)).digest("a") == Sealer(bytes(32)).digest("a")
    assert Sealer(bytes(32)).digest("a") != Sealer(b"1" * 32).digest("a")


@pytest.mark.parametrize("text", ["", "short", "!!!!", "AAAA"])
def test_a_malformed_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="key"):
        Sealer.from_text(text)
