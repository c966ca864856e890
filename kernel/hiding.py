"""Libraries load others in case somebody uses both; what nobody here uses together need not be loaded.

Where a library can do without, what it would load is hidden from it. Where it cannot, but only passes on what it finds
there, something stands in that nobody can use.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, cast


@contextmanager
def hidden(*names: str) -> Iterator[None]:
    """Inside, an import of one of these modules fails as if it was not installed; what is loaded already stays."""
    absent = [name for name in names if name not in sys.modules]
    # This is how Python itself notes that there is no such module.
    sys.modules.update(dict.fromkeys(absent, cast("ModuleType", None)))
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)


class NotLoaded(RuntimeError):
    """Something is used of a module that was not loaded, since nobody was to use it."""


class _Nothing(type):
    """What stands in for a class or a function: it may be named, inherited from and asked for, and not used."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _nothing(f"{cls.__module__}.{cls.__qualname__}", name)

    def __call__(cls, *_: Any, **__: Any) -> Any:
        raise NotLoaded(f"{cls.__module__}.{cls.__qualname__} was not loaded; see kernel/collector.py")

    def __instancecheck__(cls, instance: object) -> bool:
        return False


def _nothing(module: str, name: str) -> _Nothing:
    return _Nothing(name, (), {"__module__": module})


def is_nothing(value: object) -> bool:
    """Return whether something stands in for the value."""
    return isinstance(value, _Nothing | _StandIn)


class _StandIn(ModuleType):
    """A module that has whatever it is asked for, and that is of no use."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # As of a package, so that modules below it can stand in as well.
        self.__path__ = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _nothing(self.__name__, name)


@contextmanager
def stood_in(*names: str) -> Iterator[None]:
    """Inside, an import of one of these modules gives names without anything behind them, which raise NotLoaded.

    Who imports it afterwards gets the module; who was given nothing keeps that. What is loaded already stays.
    """
    absent = {name: _StandIn(name) for name in names if name not in sys.modules}
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name, stand_in in absent.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]
