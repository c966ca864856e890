"""A small schema whose subscriptions follow a stream of numbers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import strawberry

from domain.events.queries import head
from schema.extensions.documents import Schema
from schema.types import enums as _enums  # noqa: F401 -- importing it registers them.
from schema.types.context import Info
from schema.types.delivery import LATEST_FOR_EVERYONE, LOSSLESS_FOR_VIEWER
from schema.types.relay import encode_cursor

STREAM = "notes"
NOTES = "subscription ($after: Int) { notes(after: $after) { position number } }"


@strawberry.type
class Note:
    position: int
    number: int
    cursor: strawberry.Private[str]

    @strawberry.field
    def seen_by(self, info: Info) -> str:
        viewer = info.context.viewer
        return str(viewer.user_id) if viewer else "nobody"

    @strawberry.field
    def executed(self, info: Info) -> int:
        EXECUTED.append(self.position)
        return len(EXECUTED)


EXECUTED: list[int] = []


async def _notes(info: Info, stream: str, after: int) -> AsyncGenerator[Note, None]:
    async for event in info.context.services.events.follow(stream, after=after):
        number = event.payload["n"]
        if number < 0:
            raise RuntimeError("the password is hunter2")
        yield Note(position=event.position, number=number, cursor=encode_cursor(stream, event.position))


async def all_notes(info: Info, after: int | None = None) -> AsyncGenerator[Note, None]:
    return _notes(info, STREAM, await head(STREAM) if after is None else after)


async def own_notes(info: Info) -> AsyncGenerator[Note, None]:
    viewer = info.context.signed_in
    stream = f"notes:{viewer.user_id}"
    return _notes(info, stream, await head(stream))


@strawberry.type
class Query:
    @strawberry.field
    def hello(self) -> str:
        return "hello"


@strawberry.type
class Subscription:
    notes: Any = strawberry.subscription(resolver=all_notes, graphql_type=Note, directives=[LATEST_FOR_EVERYONE])
    private: Any = strawberry.subscription(resolver=own_notes, graphql_type=Note, directives=[LOSSLESS_FOR_VIEWER])
    alone: Any = strawberry.subscription(resolver=all_notes, graphql_type=Note)


SCHEMA = Schema(query=Query, subscription=Subscription)
