"""The methods of data classes are made when they are called first.

A data class is given `__init__`, `__eq__`, `__repr__`, `__hash__` and, where it is frozen, `__setattr__` and
`__delattr__`, each of them compiled from a text of its own. Of eleven hundred classes most are never compared or shown,
and a server makes objects of few of them: that is a fifth of the time until it is ready, and 6 MB.

`dataclasses` has no way to ask for this, so functions of its own are replaced, where they are those that are known (in
Python 3.11 and 3.12). Elsewhere all is made at once, as ever.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

Method = Callable[..., Any]

# What each is called with, so that another Python's are left alone.
KNOWN = {
    "_init_fn": (
        "fields", "std_fields", "kw_only_fields", "frozen", "has_post_init", "self_name", "globals", "slots",
    ),
    "_repr_fn": ("fields", "globals"),
    "_cmp_fn": ("name", "op", "self_tuple", "other_tuple", "globals"),
    "_hash_fn": ("fields", "globals"),
    "_frozen_get_del_attr": ("cls", "fields", "globals"),
}  # fmt: skip


class Later:
    """A method that makes the real one when it is called, puts it in its own place, and calls it.

    What makes it is called with the arguments, and returns it, or several of which it is one. It is no function, since
    of the thousands of them each would take three times the memory.
    """

    __slots__ = ("__name__", "_arguments", "_made", "_maker", "_which")
    __isabstractmethod__ = False

    def __init__(self, name: str, maker: str, arguments: tuple[Any, ...], which: int | None = None) -> None:
        self.__name__, self._maker, self._arguments, self._which = name, maker, arguments, which
        self._made: Method | None = None

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __call__(self, instance: Any, *given: Any, **named: Any) -> Any:
        made = self._make()
        for owner in type(instance).__mro__:
            if owner.__dict__.get(self.__name__) is self:
                made.__qualname__ = f"{owner.__qualname__}.{self.__name__}"
                setattr(owner, self.__name__, made)
        return made(instance, *given, **named)

    def __getattr__(self, name: str) -> Any:
        """Whatever else is asked of it, such as its signature, is the real one's."""
        return getattr(self._make(), name)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._make())

    def _make(self) -> Method:
        # It is asked for again where a class has it by another name as well, such as `__str__ = __repr__`.
        if self._made is None:
            found = _MADE[self._maker](*self._arguments)
            self._made = found if self._which is None else found[self._which]
        assert self._made is not None
        return self._made


def _init_fn(*arguments: Any) -> Later:
    return Later("__init__", "_init_fn", arguments)


def _repr_fn(*arguments: Any) -> Later:
    return Later("__repr__", "_repr_fn", arguments)


def _cmp_fn(name: str, *operands: str, globals: Any) -> Later:  # noqa: A002 -- as it is called.
    return Later(name, "_cmp_fn", (name, *operands, globals))


def _hash_fn(*arguments: Any) -> Later:
    return Later("__hash__", "_hash_fn", arguments)


def _frozen_get_del_attr(*arguments: Any) -> tuple[Later, Later]:
    maker = "_frozen_get_del_attr"
    return Later("__setattr__", maker, arguments, 0), Later("__delattr__", maker, arguments, 1)


class _NoSignatures:
    """`inspect` for `dataclasses`, which writes the signature of a class without a docstring into one."""

    def __getattr__(self, name: str) -> Any:
        return getattr(inspect, name)

    def signature(self, _: type) -> str:
        return ""


_MADE: dict[str, Any] = {name: getattr(dataclasses, name, None) for name in KNOWN}
_LATER: dict[str, Any] = {
    "_init_fn": _init_fn,
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
