"""A module that is hidden cannot be imported, and can be afterwards; one that is loaded stays."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

from kernel.hiding import NotLoaded, hidden, is_nothing, stood_in

SELDOM = "this"  # A module of the standard library that nobody loads.


def test_what_is_hidden_is_not_there_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, SELDOM, raising=False)
    with hidden(SELDOM), pytest.raises(ImportError):
        import_module(SELDOM)
    assert SELDOM not in sys.modules
    assert import_module(SELDOM) is sys.modules[SELDOM]


def test_it_comes_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, SELDOM, raising=False)
    with pytest.raises(RuntimeError), hidden(SELDOM):
        raise RuntimeError
    assert SELDOM not in sys.modules


def test_what_is_loaded_stays() -> None:
    with hidden("sys", "json"):
        assert import_module("json") is sys.modules["json"]
    assert sys.modules["sys"] is sys


def test_what_stands_in_can_be_named_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, SELDOM, raising=False)
    with stood_in(SELDOM):
        name = import_module(SELDOM).Name
    below: type = type("Below", (name,), {})
    assert is_nothing(name)
    assert not isinstance(3, name | str)
    for use in (name, name.attribute, below):
        with pytest.raises(NotLoaded):
            use("what", other=1)
    with pytest.raises(AttributeError):
        _ = name.__wrapped__
    with pytest.raises(TypeError):
        _ = name["key"]


def test_the_module_comes_back_after_something_stood_in_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, SELDOM, raising=False)
    with stood_in(SELDOM, "json"):
        assert is_nothing(import_module(SELDOM))
        assert not is_nothing(import_module("json"))
    assert not is_nothing(import_module(SELDOM))
    assert not is_nothing(import_module("json"))
