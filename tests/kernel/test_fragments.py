"""What is kept by its entity: within bytes, until a change, and for as long as it is true."""

from __future__ import annotations

from kernel.fragments import BYTES_PER_FRAGMENT, Fragments, View


def opened(size_max_bytes: int = 1 << 20) -> Fragments:
    fragments = Fragments(size_max_bytes, tags=("stations",), clock=lambda: 0.0)
    fragments.hold(fragments.generation, 60)
    return fragments


def seen(fragments: Fragments) -> View:
    view = fragments.view()
    assert view is not None
    return view


def test_nothing_is_found_before_it_is_known_for_how_long_it_is_true() -> None:
    seconds = 0.0
    fragments = Fragments(1 << 20, tags=("stations",), clock=lambda: seconds)
    assert fragments.view() is None
    generation = fragments.restart()
    assert fragments.view() is None
    fragments.hold(generation, 10)
    seconds = 9.9
    assert fragments.view() is not None
    seconds = 10.0
    assert fragments.view() is None


def test_what_was_looked_up_before_a_change_says_nothing_after_it() -> None:
    fragments = Fragments(1 << 20, tags=("stations",), clock=lambda: 0.0)
    generation = fragments.restart()
    fragments.purge({"stations"})
    fragments.hold(generation, 10)
    assert fragments.view() is None


def test_a_change_forgets_all_and_what_is_being_made() -> None:
    fragments = opened()
    view = seen(fragments)
    assert view.keep("a", 1, size_bytes=10)
    assert fragments.purge({"users"}) == 0
    assert view.get("a") == 1
    assert fragments.purge({"users", "stations"}) == 1
    assert not view.keep("b", 2, size_bytes=10)
    assert view.get("a") is None
    assert view.get("b") is None
    assert (len(fragments), fragments.size_bytes) == (0, 0)
    fragments.hold(fragments.generation, 60)
    assert seen(fragments).keep("b", 3, size_bytes=10)


def test_what_was_used_last_is_kept_longest_within_bytes() -> None:
    fragments = opened(3 * (BYTES_PER_FRAGMENT + 100))
    view = seen(fragments)
    for key in "abc":
        view.keep(key, key, size_bytes=100)
    assert view.get("a") == "a"
    view.keep("d", "d", size_bytes=100)
    assert [view.get(key) for key in "abcd"] == ["a", None, "c", "d"]
    # Keeping it again takes the place of what was there.
    view.keep("a", "A", size_bytes=50)
    assert fragments.size_bytes == 3 * (BYTES_PER_FRAGMENT + 100) - 50
    view.keep("e", "too large", size_bytes=1 << 20)
    assert len(fragments) == 3


def test_without_room_there_is_nothing() -> None:
    fragments = opened(0)
    assert not fragments.is_open
    view = seen(fragments)
    view.keep("a", 1, size_bytes=0)
    assert view.get("a") is None


def test_what_is_found_elsewhere_is_wanted_at_the_second_need() -> None:
    fragments = Fragments(1 << 20, tags=("stations",), clock=lambda: 0.0, at_second=True)
    fragments.hold(fragments.generation, 60)
    view = seen(fragments)
    assert [view.wants(("station", number)) for number in range(100)].count(True) < 3
    assert all(view.wants(("station", number)) for number in range(100))
    fragments.purge({"stations"})
    assert not view.wants(("station", 1))
    assert seen(opened()).wants("a")
