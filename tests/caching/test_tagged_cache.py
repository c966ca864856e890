"""The cache whose entries go when what they were made of is changed."""

from __future__ import annotations

from kernel.tagged_cache import ALIASES_MAX, BYTES_PER_ALIAS, BYTES_PER_ENTRY, BYTES_PER_TAG, TaggedCache

ROOM = 100 * BYTES_PER_ENTRY


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def kept(cache: TaggedCache[str], key: str, *tags: str, lasts_s: float = 60, size_bytes: int = 0) -> bool:
    return cache.keep(cache.begin(), key, key.upper(), tags=tags, lasts_s=lasts_s, size_bytes=size_bytes)


def test_what_has_a_tag_goes_with_it_and_nothing_else() -> None:
    cache = TaggedCache[str](ROOM)
    assert kept(cache, "a", "x", "y")
    assert kept(cache, "b", "y")
    assert kept(cache, "c", "z")
    assert cache.purge({"y", "unknown"}) == 2
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (None, None, "C")
    assert cache.size_bytes == BYTES_PER_ENTRY + BYTES_PER_TAG


def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    cache = TaggedCache[str](ROOM)
    early, late = cache.begin(), None
    cache.purge({"x"})
    late = cache.begin()
    assert not cache.keep(early, "a", "old", tags=("x",), lasts_s=60, size_bytes=0)
    assert cache.keep(late, "a", "new", tags=("x",), lasts_s=60, size_bytes=0)
    assert cache.get("a") == "new"


def test_a_change_of_something_else_spoils_nothing() -> None:
    cache = TaggedCache[str](ROOM)
    fill = cache.begin()
    cache.purge({"y"})
    assert cache.keep(fill, "a", "A", tags=("x",), lasts_s=60, size_bytes=0)


def test_clearing_spoils_what_is_being_made() -> None:
    cache = TaggedCache[str](ROOM)
    kept(cache, "a", "x")
    fill = cache.begin()
    cache.clear()
    assert cache.get("a") is None
    assert not cache.keep(fill, "b", "B", tags=("x",), lasts_s=60, size_bytes=0)
    assert cache.size_bytes == 0


def test_it_is_kept_for_as_long_as_it_is_true() -> None:
    clock = Clock()
    cache = TaggedCache[str](ROOM, clock=clock)
    assert not kept(cache, "never", lasts_s=0)
    kept(cache, "a", lasts_s=2)
    clock.now = 1.9
    assert cache.get("a") == "A"
    clock.now = 2.0
    assert cache.get("a") is None
    assert len(cache) == 0


def test_what_was_used_last_is_kept_longest_within_its_bytes() -> None:
    cache = TaggedCache[str](3 * BYTES_PER_ENTRY)
    for key in "abc":
        kept(cache, key)
    cache.get("a")
    kept(cache, "d")
    assert [cache.get(key) for key in "abcd"] == ["A", None, "C", "D"]
    assert not kept(cache, "huge", size_bytes=BYTES_PER_ENTRY)
    assert cache.size_bytes == 3 * BYTES_PER_ENTRY


def test_nothing_is_found_while_changes_may_go_unheard() -> None:
    clock = Clock()
    cache = TaggedCache[str](ROOM, clock=clock)
    cache.open_until = 5.0
    kept(cache, "a", "x")
    clock.now = 5.0
    assert not cache.is_open
    assert cache.get("a") is None
    assert not kept(cache, "b", "x")


def test_an_alias_goes_with_what_it_is_of() -> None:
    cache = TaggedCache[str](ROOM)
    kept(cache, "a", "x")
    cache.alias("a", "other", size_bytes=10)
    cache.alias("gone", "nothing", size_bytes=10)
    assert (cache.get("other"), cache.get("nothing")) == ("A", None)
    cache.purge({"x"})
    assert cache.get("other") is None
    assert cache.size_bytes == 0


def test_without_room_nothing_is_kept() -> None:
    cache = TaggedCache[str](0)
    assert not cache.is_open
    assert not kept(cache, "a")


def test_of_many_aliases_some_are_known_and_all_are_counted() -> None:
    cache = TaggedCache[str](ROOM)
    kept(cache, "a", "x")
    before_bytes = cache.size_bytes
    names = [f"name {number}" for number in range(ALIASES_MAX)]
    for name in names:
        cache.alias("a", name, size_bytes=10)
        cache.alias("a", name, size_bytes=10)
    assert [cache.get(name) for name in names] == ["A"] * ALIASES_MAX
    assert cache.size_bytes == before_bytes + ALIASES_MAX * (BYTES_PER_ALIAS + 10)
    cache.alias("a", "long", size_bytes=100)
    assert [cache.get(name) for name in ("long", *names)] == ["A", *[None] * ALIASES_MAX]
    assert cache.size_bytes == before_bytes + BYTES_PER_ALIAS + 100
    assert len(cache) == 1


def test_what_is_found_by_an_alias_was_used() -> None:
    cache = TaggedCache[str](2 * (BYTES_PER_ENTRY + BYTES_PER_ALIAS) + BYTES_PER_ENTRY)
    for key in "ab":
        kept(cache, key)
        cache.alias(key, f"other {key}", size_bytes=0)
    assert cache.get("other a") == "A"
    kept(cache, "c")
    kept(cache, "d")
    assert [cache.get(f"other {key}") for key in "ab"] == ["A", None]
    assert cache.size_bytes == 3 * BYTES_PER_ENTRY + BYTES_PER_ALIAS
    cache.clear()
    assert (cache.get("other a"), cache.size_bytes) == (None, 0)
