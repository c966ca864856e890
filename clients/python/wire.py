"""What the generated half of the client is made of."""

from __future__ import annotations

import dataclasses
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One document. `field` is its root field, `read` makes its answer of JSON.

    `sha256` names the document to the server; `idempotent` says that it may be sent twice.
    """

    name: str
    kind: str
    field: str
    sha256: str
    text: str
    idempotent: bool
    read: Callable[[Any], T]


class Input:
    """An input type; a dataclass whose fields are called as in the schema, but for the way words are joined."""

    __slots__ = ()


class Caller(ABC):
    """Executes operations."""

    @abstractmethod
    async def run(self, operation: Operation[T], variables: Mapping[str, Any]) -> T:
        """Return the answer of a query or a mutation."""

    @abstractmethod
    def subscribe(self, operation: Operation[T], variables: Mapping[str, Any]) -> AsyncIterator[T]:
        """Yield the events of a subscription."""


def new_key() -> str:
    """Return a new idempotency key."""
    return secrets.token_hex(KEY_BYTES)


def enum_of(kind: type[E], value: str) -> E | str:
    """Return the enum's member; the text itself where it is newer than this client."""
    return kind(value) if value in kind._value2member_map_ else value


def encoded(value: Any) -> Any:
    """Return a variable as JSON has it. What is None in an input type is left out."""
    if isinstance(value, Input):
        fields = dataclasses.fields(value)  # type: ignore[arg-type]
        given = {_camel(each.name): getattr(value, each.name) for each in fields}
        return {name: encoded(each) for name, each in given.items() if each is not None}
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list):
        return [encoded(each) for each in value]
    return value


def encoded_variables(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables as JSON has them; those that are None are left out, so that defaults hold."""
    return {name: encoded(value) for name, value in variables.items() if value is not None}


def _camel(name: str) -> str:
    first, *others = name.rstrip("_").split("_")
    return first + "".join(map(str.capitalize, others))
