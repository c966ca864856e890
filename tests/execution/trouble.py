"""What goes wrong by chance in the schema with everything, the same each time for one seed."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Generator
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar, cast

from strawberry.dataloader import DataLoader

T = TypeVar("T")
# What `meet` returns where nothing goes wrong.
VALUE = object()


class Trouble(Exception):
    """What resolvers raise."""

    extensions: dict[str, Any]

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.extensions = {"code": "TROUBLE"}


@dataclass
class Context:
    seed: int
    share: float = 0.12
    calls: list[str] = field(default_factory=list)
    batches: DataLoader[str, str] = field(init=False)
    branches: DataLoader[int, tuple[Context, int] | None] = field(init=False)

    def __post_init__(self) -> None:
        async def load(keys: list[str]) -> list[str | BaseException]:
            self.calls.append(f"batch {keys}")
            await asyncio.sleep(0)
            return [Trouble(key) if self.draw("batch", key).random() < self.share else key.upper() for key in keys]

        async def load_branches(keys: list[int]) -> list[Any]:
            self.calls.append(f"batch {keys}")
            await asyncio.sleep(0)
            return [self.found(key) for key in keys]

        self.batches = DataLoader(load)
        self.branches = DataLoader(load_branches)

    def found(self, key: int) -> Any:
        turn = self.draw("branches", key).random()
        if turn < self.share:
            return Trouble(f"no {key}")
        return None if turn < 2 * self.share else (self, key)

    def draw(self, *about: object) -> Random:
        return Random(zlib.crc32(repr((self.seed, *about)).encode()))

    def meet(self, *about: object) -> Any:
        """Note a call; raise, or return what takes the value's place: an exception, null, nonsense, or the value."""
        self.calls.append(repr(about))
        return meet(self.seed, self.share, *about)


def meet(seed: int, share: float, *about: object) -> Any:
    turn = Random(zlib.crc32(repr((seed, *about)).encode())).random()
    if turn > share:
        return VALUE
    if turn > share * 0.6:
        raise Trouble(f"trouble with {about[-1]}")
    return [None, Trouble("returned"), object, None][int(turn * 1_000) % 4]


def either(found: Any, value: T) -> T:
    """Return the value, or what takes its place and is of another type."""
    return value if found is VALUE else cast(T, found)


def few(count: int) -> int:
    return max(0, min(count, 3))


class Promise:
    """Something that may be awaited and is no coroutine."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, None, Any]:
        yield from asyncio.sleep(0).__await__()
        return self._value
