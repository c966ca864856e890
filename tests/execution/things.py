"""A schema with entities that change, some of whose fields depend on who asks, and what is kept of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import strawberry
from strawberry.types import Info as StrawberryInfo

from kernel.fragments import Fragments, View
from schema.execution.guards import Guarded
from schema.types.rows import Entity, OfRow
from tests.execution.inputs import Colour
from tests.execution.relating import relation

KEYS = 6
TAG = "things"


@dataclass(frozen=True)
class PartRow:
    number: int
    stamp: int
    colour: Colour


@dataclass(frozen=True)
class ThingRow:
    key: int
    stamp: int
    name: str | None
    shelf: int | None


class World:
    """Rows that change; `stamp` grows with each change, and says of a row when it was changed."""

    def __init__(self) -> None:
        self.stamp = 0
        self.things = {key: ThingRow(key, 0, f"thing {key}", key % 3 or None) for key in range(KEYS)}
        self.shelves = {shelf: [PartRow(each, 0, Colour.RED) for each in range(shelf + 1)] for shelf in range(3)}
        # When the parts on a shelf were changed last, all of them at once.
        self.shelved = dict.fromkeys(range(3), 0)
        self.fragments = Fragments(1 << 20, tags=(TAG,))
        self.fragments.hold(self.fragments.generation, 3_600)

    def change(self, random: Random) -> None:
        """Change something, and tell of it as at a commit."""
        self.stamp += 1
        if random.random() < 0.5:
            key = random.randrange(KEYS)
            name, shelf = random.choice([None, "油卡", f"changed {self.stamp}"]), random.choice([None, 0, 1, 2])
            self.things[key] = replace(self.things[key], stamp=self.stamp, name=name, shelf=shelf)
        else:
            shelf = random.randrange(3)
            parts = [PartRow(each, self.stamp, random.choice(list(Colour))) for each in range(random.randrange(4))]
            self.shelves[shelf], self.shelved[shelf] = parts, self.stamp
        assert not self.fragments.purge({"something else"})
        self.fragments.purge({TAG})
        self.fragments.hold(self.fragments.generation, 3_600)


@dataclass
class Meter:
    fields: int = 0
    types: int = 0


class Weighing:
    """Counts every field and every object once."""

    def weigh(self, _kind: Any, names: Any) -> tuple[int, int]:
        return len(list(names)), 1

    def meter_of(self, context: Context) -> Meter:
        return context.meter


@dataclass
class Context:
    world: World
    viewer: str = "nobody"
    fragments: View | None = None
    meter: Meter = field(default_factory=Meter)
    loaded: list[int | None] = field(default_factory=list)

    @property
    def shelves(self) -> Shelves:
        return Shelves(self, lambda parts: parts)

    @property
    def own(self) -> Shelves:
        """What is loaded depends on who asks."""
        return Shelves(self, lambda parts: [replace(each, number=len(self.viewer)) for each in parts])


@dataclass
class Shelves:
    context: Context
    seen: Callable[[list[PartRow]], list[PartRow]]

    async def load(self, key: int) -> list[PartRow]:
        self.context.loaded.append(key)
        found = self.context.world.shelves[key]
        # What was read is handed over some turns later.
        for _ in range(3):
            await asyncio.sleep(0)
        return self.seen(found)


Info = StrawberryInfo[Context, None]


@strawberry.type
class Paint(OfRow[PartRow]):
    colour: Colour
    glossy: bool
    readers = {"glossy": lambda row: row.stamp % 2 == 0}


@strawberry.type
class Part(OfRow[PartRow]):
    number: int
    stamp: int
    paint: Paint
    readers = {"paint": Paint.of}


@strawberry.type
class Thing(OfRow[ThingRow]):
    key: int
    stamp: int
    name: str | None
    guarded: int
    readers = {"guarded": lambda row: row.stamp}
    entity = Entity(key="key", below=frozenset({Part, Paint}))

    @relation("shelves", by="shelf", public=True)
    @staticmethod
    def parts(rows: list[PartRow] | None, limit: int = 9, colour: Colour | None = None) -> list[Part] | None:
        if rows is None:
            return None
        return [Part.of(row) for row in rows[: max(0, limit)] if colour in (None, row.colour)]

    @relation("shelves", by="shelf", public=True)
    @staticmethod
    def first(rows: list[PartRow] | None) -> Part | None:
        return Part.of(rows[0]) if rows else None

    @relation("shelves", by="shelf", public=True)
    @staticmethod
    def surely(rows: list[PartRow] | None) -> Part:
        assert rows, "nothing is there"
        return Part.of(rows[0])

    @relation("own", by="shelf")
    @staticmethod
    def mine(rows: list[PartRow] | None) -> list[Part]:
        return [Part.of(row) for row in rows or ()]

    @relation("shelves", by=lambda thing, context: thing.row.shelf if context.viewer == "nobody" else None, public=True)
    @staticmethod
    def seen(rows: list[PartRow] | None) -> list[Part]:
        return [Part.of(row) for row in rows or ()]

    @strawberry.field
    def asked_by(self, info: Info) -> str:
        return f"{info.context.viewer} {self.key}"


@strawberry.type
class Place(OfRow[ThingRow]):
    distance: int
    thing: Thing
    readers = {"distance": lambda row: row.key * 7, "thing": Thing.of}


@strawberry.type
class Query:
    @strawberry.field
    async def thing(self, info: Info, key: int = 0) -> Thing | None:
        row = info.context.world.things.get(key % 8)
        await asyncio.sleep(0)
        return Thing.of(row) if row else None

    @strawberry.field
    async def places(self, info: Info, start: int = 0) -> list[Place]:
        found = [info.context.world.things[(start + each) % KEYS] for each in range(4)]
        await asyncio.sleep(0)
        return [Place.of(row) for row in found]


def _guard(resolve: Any) -> Any:
    def guarded(source: Any, info: Any, /, **arguments: Any) -> Any:
        if info.context.viewer == "nobody":
            raise ValueError("not for everybody")
        return resolve(source, info, **arguments)

    return guarded


def build() -> Any:
    schema = strawberry.Schema(query=Query)._schema
    fields: Any = schema.type_map["Thing"]
    fields.fields["guarded"].resolve = Guarded(fields.fields["guarded"].resolve, _guard, repeatable=True)
    return schema
