"""Loaders of relations: what they do, and how a request has as many as it asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar

K_contra = TypeVar("K_contra", contravariant=True)
V = TypeVar("V")

Clock: TypeAlias = Callable[[], datetime]


class Loader(Protocol[K_contra, V]):
    """Finds what belongs to a key, in one statement with what others ask for at the same time."""

    def load(self, key: K_contra) -> Awaitable[V]: ...

    def load_many(self, keys: Iterable[K_contra]) -> Awaitable[list[V]]: ...


class Lazy:
    """Makes each attribute when it is first asked for, since a request asks for few of them."""

    def __init__(self, makers: Mapping[str, Callable[[Clock], Any]], clock: Clock) -> None:
        self._makers = makers
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        # Only what is not there yet comes here.
        maker = self.__dict__["_makers"].get(name)
        if maker is None:
            raise AttributeError(name)
        made = self.__dict__[name] = maker(self._clock)
        return made
