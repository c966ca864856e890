"""Data classes whose methods are made when they are called first do what others do."""

from __future__ import annotations

import dataclasses
import sys
from abc import ABC, abstractmethod
from dataclasses import FrozenInstanceError, InitVar, dataclass, field
from inspect import signature
from typing import Any

import pytest

from kernel import lighter_dataclasses
from kernel.lighter_dataclasses import Later, are_known, made_later


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
    return {name for name, value in vars(cls).items() if isinstance(value, Later)}


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="dataclasses makes all of them together from there on")
def test_methods_are_made_when_they_are_called() -> None:
    assert are_known()
    _, later = classes(frozen=True, order=True)
    assert unmade(later) >= {"__init__", "__eq__", "__repr__", "__hash__", "__setattr__", "__delattr__", "__lt__"}
    assert later(1) == later(1)
    assert "__init__" not in unmade(later)
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


@pytest.mark.parametrize("slots", [False, True])
def test_objects_are_begun_as_those_of_other_classes(slots: bool) -> None:
    for cls in classes(slots=slots, kw_only=True):
        assert str(signature(cls)) == "(*, x: 'int', y: 'int' = 2) -> None"
        below = type("Below", (cls,), {})
        with pytest.raises(TypeError, match=r"Point.__init__\(\) missing 1 required keyword-only argument: 'x'"):
            below()
        with pytest.raises(TypeError, match="takes 1 positional argument"):
            cls(1)
        for made in (below(x=1), cls(x=1)):
            assert (made.x, made.y) == (1, 2)
        assert "__init__" not in vars(below)
        assert vars(cls)["__init__"].__annotations__["x"] == "int"


def test_what_is_done_after_an_init_and_defaults_that_are_made() -> None:
    with made_later():

        @dataclass
        class Above:
            given: InitVar[int]
            seen: list[int] = field(default_factory=list)

            def __post_init__(self, given: int) -> None:
                self.seen.append(given)

        @dataclass
        class Below(Above):
            more: str = "more"

            def __init__(self, given: int) -> None:
                Above.__init__(self, given)

    assert Above(1).seen == [1]
    assert Above(2, [1]) == Above(2, seen=[1])
    assert Below(3).seen == [3]


def test_an_abstract_class_stays_abstract_and_makes_nothing() -> None:
    with made_later():

        @dataclass(slots=True)
        class Abstract(ABC):
            x: int

            @abstractmethod
            def say(self) -> None: ...

    with pytest.raises(TypeError, match="abstract"):
        Abstract(1)  # type: ignore[abstract]
    assert unmade(Abstract) == ({"__init__", "__eq__", "__repr__"} if are_known() else set())


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
