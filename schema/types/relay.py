"""Global ids and keyset connections (https://relay.dev/graphql/connections.htm)."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar
from uuid import UUID

import strawberry

from kernel import opaque
from kernel.errors import YoukaError
from schema.types import caching, costs
from schema.types.rows import OfRow

# What was read a moment ago is not read again: a card's id is for the budgets and for the resolver. Longer ones are not
# kept, since a request may be long.
IDS_KEPT_MAX = 64
KEPT_LENGTH_MAX = 128
# The alphabet of base64 for addresses, in letters of the common one.
OTHER_ALPHABET = str.maketrans("-_", "+/")


class CursorMalformed(YoukaError):
    code = "CURSOR_INVALID"
    messages = {"zh-CN": "游标不属于这个列表", "en": "The cursor is not one of this list"}


class PageSizeInvalid(YoukaError):
    code = "PAGE_SIZE_INVALID"
    messages = {"zh-CN": "first须在1至{maximum}之间", "en": "first must be from 1 to {maximum}"}


def global_id(type_name: str, key: UUID | str) -> strawberry.ID:
    # Of letters, digits, a colon and hyphens, base64 never makes what the alphabet for addresses has other letters for.
    return strawberry.ID(binascii.b2a_base64(f"{type_name}:{key}".encode(), newline=False).decode().rstrip("="))


def parse_global_id(value: str) -> tuple[str, UUID] | None:
    """Return the type name and key of a global id, or None where it is not one of ours."""
    return _parsed(value) if len(value) <= KEPT_LENGTH_MAX else _parse(value)


def _parse(value: str) -> tuple[str, UUID] | None:
    try:
        padded = value + "=" * (-len(value) % 4)
        # As base64.b64decode does it with these letters, which ours never have.
        if "-" in value or "_" in value:
            padded = padded.translate(OTHER_ALPHABET)
        type_name, _, key = binascii.a2b_base64(padded, strict_mode=True).decode().partition(":")
        return type_name, UUID(key)
    except (ValueError, binascii.Error):
        return None


_parsed = lru_cache(maxsize=IDS_KEPT_MAX)(_parse)


def key_of(value: str, type_name: str) -> UUID | None:
    """Return the key where the id is of the named type; ids of other types and nonsense alike name nothing."""
    parsed = parse_global_id(value)
    return parsed[1] if parsed and parsed[0] == type_name else None


def encode_cursor(*key: Any) -> str:
    """Return an opaque cursor that holds the sort key of a row."""
    return opaque.pack(*key)


def decode_cursor(cursor: str, *shape: Callable[[Any], Any]) -> tuple[Any, ...]:
    """Return the sort key, each part read by its shape. Raises CursorMalformed."""
    try:
        parts = opaque.unpack(cursor)
        if len(parts) != len(shape):
            raise ValueError("another shape")
        return tuple(read(part) for read, part in zip(shape, parts, strict=True))
    except (ValueError, TypeError, OverflowError):
        raise CursorMalformed from None


def read_id(part: Any) -> UUID:
    """Read one part of a cursor. Raises ValueError or TypeError."""
    if not isinstance(part, str):
        raise TypeError("not an id")
    return UUID(part)


def page_size(first: int, *, maximum: int) -> int:
    """Return `first` where it is from 1 to the maximum. Raises PageSizeInvalid."""
    if not 1 <= first <= maximum:
        raise PageSizeInvalid(maximum=maximum)
    return first


@strawberry.interface(description="An object with an id that is unique across the whole schema.")
class Node:
    id: strawberry.ID = strawberry.field(description="Opaque and stable; give it to `node(id)`.")


@strawberry.type(directives=[costs.FREE, caching.AS_ITS_PARENT], description="Where a page of a connection ends.")
class PageInfo(OfRow["Bounds"]):
    has_next_page: bool = strawberry.field(description="Whether there is more behind this page.")
    has_previous_page: bool = strawberry.field(description="Whether this page was reached through a cursor.")
    start_cursor: str | None = strawberry.field(description="The place of the first row of this page.")
    end_cursor: str | None = strawberry.field(description="Give this as `after` to get the next page.")

    readers = {
        "has_previous_page": lambda row: row.after is not None,
        "start_cursor": lambda row: row.edges[0].cursor if row.edges else None,
        "end_cursor": lambda row: row.edges[-1].cursor if row.edges else None,
    }


class Bounds(NamedTuple):
    """A page, and what came before it."""

    edges: Sequence[Any]
    has_next_page: bool
    after: str | None


def page_info(edges: Sequence[Any], *, has_next_page: bool, after: str | None) -> PageInfo:
    return PageInfo.of(Bounds(edges, has_next_page, after))


class HasId(Protocol):
    @property
    def id(self) -> Any: ...


NodeType = TypeVar("NodeType")
Row = TypeVar("Row", bound=HasId)


class Placed(NamedTuple):
    """An object of a list, with the sort key by which its place is found again."""

    key: tuple[Any, ...]
    node: Any


@strawberry.type(directives=[caching.AS_ITS_PARENT], description="One row of a page.")
class Edge(OfRow[Placed], Generic[NodeType]):
    cursor: str = strawberry.field(description="The place of this row in the list.")
    node: NodeType = strawberry.field(description="The row itself.")

    readers = {"cursor": lambda row: encode_cursor(*row.key)}


@strawberry.type(directives=[caching.AS_ITS_PARENT], description="A page of a list, in the list's order.")
class Connection(Generic[NodeType]):
    edges: list[Edge[NodeType]] = strawberry.field(description="The rows of this page.")
    page_info: PageInfo = strawberry.field(description="Where this page ends.")

    @classmethod
    def of(cls, edges: Sequence[Edge[NodeType]], *, has_next_page: bool, after: str | None) -> Self:
        return cls(edges=list(edges), page_info=page_info(edges, has_next_page=has_next_page, after=after))

    @classmethod
    def shown(cls, rows: Sequence[Any], of: Callable[[Any], NodeType], *, first: int, after: str | None) -> Self:
        """Return the page of rows that are sorted by their ids; one row more than it has tells of a next page."""
        edges: list[Edge[NodeType]] = [Edge.of(Placed((row.id,), of(row))) for row in rows[:first]]
        return cls.of(edges, has_next_page=len(rows) > first, after=after)


@dataclass(frozen=True, slots=True)
class Page:
    """The page that a client asks for of a list that is sorted by its rows' ids alone."""

    first: int
    after: str | None
    after_id: UUID | None

    @classmethod
    def of(cls, first: int, after: str | None, *, maximum: int) -> Self:
        """Raises PageSizeInvalid or CursorMalformed."""
        key = decode_cursor(after, read_id)[0] if after is not None else None
        return cls(page_size(first, maximum=maximum), after, key)

    @property
    def limit(self) -> int:
        """One row more than the page, which tells whether there is a next one."""
        return self.first + 1

    def connection(self, rows: Sequence[Row], of: Callable[[Row], NodeType]) -> Connection[NodeType]:
        return Connection[NodeType].shown(rows, of, first=self.first, after=self.after)
