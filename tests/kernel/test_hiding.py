"""A module that is hidden cannot be imported, and can be afterwards; one that is loaded stays."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

from kernel.hiding import hidden

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
