"""The sandbox's memory, in a file of the test's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.store import INDEXED, TABLE, Kind, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "sandbox.db")
    yield store
    store.close()


def test_documents_are_found_by_what_a_field_says_now(store: Store) -> None:
    for number in (2, 1, 3):
        store.put(Kind.DELIVERY, f"d{number}", {"id": f"d{number}", "subject": "a", "delivered_at": None})
    store.put(Kind.TRADE, "t1", {"subject": "a"})
    store.put(Kind.DELIVERY, "d1", {"id": "d1", "subject": "b", "delivered_at": "now"})
    assert [each["id"] for each in store.where(Kind.DELIVERY, "subject", "a")] == ["d2", "d3"]
    assert [each["id"] for each in store.where(Kind.DELIVERY, "delivered_at", None)] == ["d2", "d3"]
    assert [each["id"] for each in store.where(Kind.DELIVERY, "subject", "b")] == ["d1"]
    assert store.where(Kind.DELIVERY, "subject", "c") == []


@pytest.mark.parametrize("name", INDEXED)
def test_what_requests_look_for_is_found_without_reading_all(tmp_path: Path, name: str) -> None:
    path = tmp_path / "sandbox.db"
    with closing(sqlite3.connect(path)) as older:
        older.execute(TABLE)
    store = Store(path)
    asked: list[str] = []
    store._connection.set_trace_callback(asked.append)
    store.where(Kind.TRADE, name, "a")
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        (plan,) = connection.execute(f"EXPLAIN QUERY PLAN {asked[0]}").fetchall()
    assert f"USING INDEX record_{name} (kind=? AND <expr>=?)" in plan[-1]
