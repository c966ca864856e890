"""The methods of data classes that are seldom called are made when they are called first.

A data class is given `__eq__`, `__repr__`, `__hash__` and, where it is frozen, `__setattr__` and `__delattr__`, each of
them compiled from a text of its own. Of eight hundred classes, most of libraries, few are ever compared or shown: that
is a tenth of the time until a server is ready, and 4 MB.

`dataclasses` has no way to ask for this, so functions of its own are replaced, where they are those that are known (in
Python 3.11 and 3.12). Elsewhere all is made at once, as ever.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Method = Callable[..., Any]

# What each is called with, so that another Python's are left alone.
KNOWN = {
    "_repr_fn": ("fields", "globals"),
    "_cmp_fn": ("name", "op", "self_tuple", "other_tuple", "globals"),
    "_hash_fn": ("fields", "globals"),
    "_frozen_get_del_attr": ("cls", "fields", "globals"),
}


def _later(name: str, maker: str, which: int | None, arguments: tuple[Any, ...]) -> Method:
    """Return a method that makes the real one, puts it in its own place, and calls it.

    What makes it is called with the arguments, and returns it, or several of which it is one.
    """

    def method(self: Any, *given: Any) -> Any:
        made: Method | None = vars(method).get("made")
        if made is None:
            found = _MADE[maker](*arguments)
            made = found if which is None else found[which]
            made.__qualname__ = method.__qualname__
            # It is asked for again where a class has it by another name as well, such as `__str__ = __repr__`.
            vars(method)["made"] = made
        for owner in type(self).__mro__:
            if owner.__dict__.get(name) is method:
                setattr(owner, name, made)
        return made(self, *given)

    method.__name__, method.__module__ = name, arguments[-1].get("__name__", __name__)
    return method


def _repr_fn(*arguments: Any) -> Method:
    return _later("__repr__", "_repr_fn", None, arguments)


def _cmp_fn(name: str, *operands: str, globals: Any) -> Method:  # noqa: A002 -- as it is called.
    return _later(name, "_cmp_fn", None, (name, *operands, globals))


def _hash_fn(*arguments: Any) -> Method:
    return _later("__hash__", "_hash_fn", None, arguments)


def _frozen_get_del_attr(*arguments: Any) -> tuple[Method, Method]:
    maker = "_frozen_get_del_attr"
    return _later("__setattr__", maker, 0, arguments), _later("__delattr__", maker, 1, arguments)


class _NoSignatures:
    """`inspect` for `dataclasses`, which writes the signature of a class without a docstring into one."""

    def __getattr__(self, name: str) -> Any:
        return getattr(inspect, name)

    def signature(self, _: type) -> str:
        return ""


_MADE: dict[str, Any] = {name: getattr(dataclasses, name, None) for name in KNOWN}
_LATER: dict[str, Any] = {
    "_repr_fn": _repr_fn,
    "_cmp_fn": _cmp_fn,
    "_hash_fn": _hash_fn,
    "_frozen_get_del_attr": _frozen_get_del_attr,
}


def are_known() -> bool:
    """Return whether the functions of this Python's `dataclasses` are those that can be replaced."""
    return all(
        made is not None and made.__code__.co_varnames[: made.__code__.co_argcount] == KNOWN[name]
        for name, made in _MADE.items()
    )


def _replace(functions: dict[str, Any]) -> None:
    for name, function in functions.items():
        setattr(dataclasses, name, function)


@contextmanager
def made_later() -> Iterator[None]:
    """Inside, data classes are made without these methods; what is made stays so afterwards."""
    if not are_known():
        yield
        return
    try:
        _replace({**_LATER, "inspect": _NoSignatures()})
        yield
    finally:
        _replace({**_MADE, "inspect": inspect})
