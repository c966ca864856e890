"""What is kept of what orjson encodes."""

from __future__ import annotations

import tracemalloc

import orjson

from kernel.exact import Shared, exact

ANSWERS = 200
WHAT = {"stations": ["station"] * 250}


def bytes_taken_by(encoded: list[bytes]) -> float:
    """The memory of one of the answers, which are put into the list meanwhile."""
    before, _ = tracemalloc.get_traced_memory()
    encoded.extend(exact(orjson.dumps(WHAT)) for _ in range(ANSWERS))
    return (tracemalloc.get_traced_memory()[0] - before) / ANSWERS


def test_it_takes_no_more_than_it_is_long() -> None:
    encoded: list[bytes] = []
    tracemalloc.start()
    try:
        taken = bytes_taken_by(encoded)
    finally:
        tracemalloc.stop()
    assert encoded[0] == orjson.dumps(WHAT)
    assert taken < 1.1 * len(encoded[0])


def test_letters_that_are_alike_are_there_once() -> None:
    shared = Shared(kept_max=2, size_max_bytes=3)
    first = bytes(bytearray(b"abc"))
    assert shared.copy_of(first) is first
    assert shared.copy_of(bytes(bytearray(b"abc"))) is first
    assert shared.copy_of(b"abd") == b"abd"


def test_of_letters_that_differ_each_time_few_are_known_and_none_that_are_long() -> None:
    shared = Shared(kept_max=2, size_max_bytes=3)
    for number in range(100, 110):
        assert shared.copy_of(b"%d" % number) == b"%d" % number
        assert len(shared) <= 2
    known = len(shared)
    assert shared.copy_of(b"long") == b"long"
    assert len(shared) == known
