"""A document is read once, whatever came of it, and what is kept of all of them stays within its bytes."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from graphql import DocumentNode, GraphQLError, GraphQLSchema, build_schema, parse, validate

from kernel.settings import Settings
from schema.execution.documents import SHARE_MAX, Document, OperationCache
from tests.hostile_documents import documents as hostile

SCHEMA = build_schema("type Query { a: Query b(c: [Int!], d: String): Int }")
ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "clients" / "documents"
HOUSE = build_schema((ROOT / "schema" / "schema.graphql").read_text(encoding="utf-8"))
HOSTILE = ("a fragment bomb", "deep inline fragments", "a huge string", "white space", "tokens")
# Whatever it is that validation leaves behind, it does not grow with the documents.
LEFT_BY_VALIDATION_BYTES = 200_000
ROOM = 1_000_000


class Reader:
    """Counts what is read and what is validated."""

    def __init__(self, schema: GraphQLSchema = SCHEMA) -> None:
        self.read: list[str] = []
        self.validated = 0
        self._schema = schema

    def parse(self, text: str) -> DocumentNode:
        self.read.append(text)
        return parse(text, max_tokens=5_000)

    def validate(self, node: DocumentNode) -> list[GraphQLError]:
        self.validated += 1
        try:
            return validate(self._schema, node)
        except RecursionError:
            return []

    def cache(self, size_max_bytes: int = ROOM) -> OperationCache:
        return OperationCache(self.parse, self.validate, size_max_bytes=size_max_bytes)


def good(number: int) -> str:
    return f"{{ a{number}: b }}"


@pytest.mark.parametrize("text", ["{ b }", "{ unknown }", "{", "", "{ a(x: 1) { b } }"])
def test_whatever_comes_of_a_document_it_is_read_once(text: str) -> None:
    reader = Reader()
    cache = reader.cache()
    assert cache.get(text) is cache.get(text)
    assert len(reader.read) == 1
    assert reader.validated == (cache.get(text).node is not None)


async def test_of_many_who_ask_for_the_same_at_once_one_has_it_read() -> None:
    reader = Reader()
    cache = reader.cache()

    async def ask() -> Document:
        await asyncio.sleep(0)
        return cache.get("{ b }")

    assert len(set(await asyncio.gather(*(ask() for _ in range(50))))) == 1
    assert len(reader.read) == 1


def test_a_refusal_keeps_no_frames() -> None:
    refusal = Reader().cache().get("{").refusal
    assert refusal is not None
    assert refusal.__traceback__ is None


def test_what_was_used_last_is_kept() -> None:
    reader = Reader()
    cache = reader.cache()
    cache.get(good(0))
    for number in range(1, 1_000):
        cache.get(good(number))
        cache.get(good(0))
    assert reader.read.count(good(0)) == 1
    assert good(999) in cache
    assert good(1) not in cache
    assert cache.size_bytes <= ROOM


def test_nonsense_drives_out_only_nonsense() -> None:
    cache = Reader().cache()
    cache.get(good(0))
    for number in range(2_000):
        cache.get(f"{{ nonsense{number}")
        cache.get(f"{{ nonsense{number} }}")
    assert good(0) in cache
    assert "{ nonsense1999" in cache
    assert "{ nonsense0" not in cache
    assert cache.size_bytes <= ROOM + ROOM // 8


def test_a_document_that_would_drive_out_many_is_not_kept() -> None:
    reader = Reader()
    cache = reader.cache()
    large = "{ b" + " " * (ROOM // SHARE_MAX) + "}"
    for _ in range(2):
        assert cache.get(large).valid
    assert len(reader.read) == 2
    assert len(cache) == 0


def test_what_is_found_out_about_a_document_is_found_out_once_and_takes_room() -> None:
    cache = Reader().cache()
    asked: list[DocumentNode] = []

    def count(node: DocumentNode) -> int:
        asked.append(node)
        return len(node.definitions)

    before = cache.get("{ b }").size_bytes
    for _ in range(3):
        assert cache.get("{ b }").part("definitions", count, size_bytes=1_000) == 1
    assert len(asked) == 1
    assert cache.size_bytes == cache.get("{ b }").size_bytes == before + 1_000


def test_a_document_that_grows_makes_room_for_itself() -> None:
    cache = Reader().cache()
    for number in range(10):
        cache.get(good(number))
    cache.get(good(0)).grow(ROOM - 20_000)
    assert good(0) in cache
    assert good(1) not in cache
    assert cache.size_bytes <= ROOM
    forgotten = cache.get(good(0))
    forgotten.grow(ROOM)
    assert len(cache) == 0
    assert cache.size_bytes == 0
    forgotten.grow(ROOM)
    assert cache.size_bytes == 0, "what nobody keeps takes none of the room"


@contextmanager
def traced() -> Iterator[list[int]]:
    """Hold the bytes that the block has left behind."""
    taken: list[int] = []
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield taken
        gc.collect()
        taken.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("which", ["clients", "hostile"])
def test_no_document_takes_more_than_it_is_counted_for(which: str) -> None:
    """And an honest one not less than a third of that, so that the room is used."""
    honest = [path.read_text(encoding="utf-8") for path in sorted(CLIENTS.glob("*.graphql"))]
    for text in honest if which == "clients" else (hostile()[name] for name in HOSTILE):
        cache = Reader(HOUSE).cache(1 << 30)
        # The first one leaves more behind than what is kept of it.
        before = cache.get(text).size_bytes
        again = [f"{text}#{number}" for number in range(5)]
        with traced() as taken:
            for each in again:
                cache.get(each)
        counted = cache.size_bytes - before
        assert taken[0] <= counted + LEFT_BY_VALIDATION_BYTES, text[:40]
        if text in honest:
            assert taken[0] >= counted / 3, text[:40]


def test_the_room_is_a_setting() -> None:
    assert Settings(operation_cache_size_max_bytes=1 << 20).operation_cache_size_max_bytes == 1 << 20
