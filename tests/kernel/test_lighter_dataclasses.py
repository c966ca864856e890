"""Data classes whose methods are made when they are called first do what others do."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import FrozenInstanceError, dataclass
from inspect import signature
from typing import Any

import pytest

from kernel import lighter_dataclasses
from kernel.lighter_dataclasses import are_known, made_later

MODULE = lighter_dataclasses.__name__


def classes(**options: Any) -> list[type]:
    """The same class made at once and made later, each with one below it."""

    def make() -> type:
        @dataclass(**options)
        class Point:
            x: int
            y: int = 2

        return Point

    with made_later():
        later = make()
    return [make(), later]


def unmade(cls: type) -> set[str]:
    """The methods that are not made yet."""
    return {name for name, value in vars(cls).items() if getattr(value, "__code__", None) and MODULE in _file_of(value)}


def _file_of(function: Any) -> str:
    return str(function.__code__.co_filename).replace("/", ".")


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="dataclasses makes all of them together from there on")
def test_methods_are_made_when_they_are_called() -> None:
    assert are_known()
    _, later = classes(frozen=True, order=True)
    assert unmade(later) >= {"__eq__", "__repr__", "__hash__", "__setattr__", "__delattr__", "__lt__"}
    assert later(1) == later(1)
    assert "__eq__" not in unmade(later)
    assert "__hash__" in unmade(later)


@pytest.mark.parametrize("slots", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_they_do_what_those_of_other_classes_do(slots: bool, frozen: bool) -> None:
    shown = []
    for cls in classes(slots=slots, frozen=frozen, order=True, unsafe_hash=True):
        below = type("Below", (cls,), {})
        one, other = cls(1), cls(1, y=3)
        for _ in range(2):
            assert one == cls(1)
            assert one != other
            assert one != 1
            assert one < other <= cls(2)
            assert below(1) == below(1)
            assert below(1) != one
            assert hash(one) == hash(below(1)) == hash((1, 2))
            for each in (one, below(1)):
                if frozen:
                    with pytest.raises(FrozenInstanceError, match="assign to field 'x'"):
                        each.x = 3
                    with pytest.raises(FrozenInstanceError, match="delete field 'x'"):
                        del each.x
                else:
                    each.y = 2
        shown.append((repr(one), repr(below(1, 5)), cls.__repr__.__qualname__, cls.__repr__.__module__, signature(cls)))
    assert shown[0] == shown[1]


def test_a_class_below_that_is_frozen_too_keeps_its_fields() -> None:
    with made_later():

        @dataclass(frozen=True)
        class Above:
            x: int

        @dataclass(frozen=True)
        class Below(Above):
            y: int

    below = Below(1, 2)
    for name in ("y", "x"):
        with pytest.raises(FrozenInstanceError):
            setattr(below, name, 3)
    assert below == Below(1, 2)
    assert repr(below).endswith("Below(x=1, y=2)")
    with pytest.raises(FrozenInstanceError):
        Above(1).x = 3  # type: ignore[misc]


def test_it_ends_with_the_context_and_leaves_other_pythons_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(vars(dataclasses))
    with made_later():
        pass
    assert vars(dataclasses) == before
    monkeypatch.setitem(lighter_dataclasses._MADE, "_repr_fn", lambda what: what)
    with made_later():
        assert vars(dataclasses) == before


@pytest.mark.skipif(not are_known(), reason="dataclasses makes all of them together")
def test_a_method_with_two_names_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    _, later = classes()
    make, made = lighter_dataclasses._MADE["_repr_fn"], []

    def counted(*arguments: Any) -> Any:
        made.append(arguments)
        return make(*arguments)

    monkeypatch.setitem(lighter_dataclasses._MADE, "_repr_fn", counted)
    later.shown = later.__repr__  # type: ignore[attr-defined]
    assert {later(1).shown() for _ in range(3)} == {repr(later(1))}
    assert len(made) == 1
