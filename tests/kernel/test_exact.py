"""What is kept of what orjson encodes."""

from __future__ import annotations

import tracemalloc

import orjson

from kernel.exact import exact

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
