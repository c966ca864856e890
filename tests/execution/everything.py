"""A schema with everything that GraphQL and strawberry have, whose values are missing, wrong and raising by chance.

What a field does follows from the seed, its object and its arguments alone, so two executions meet the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar, cast

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.types import Info as StrawberryInfo

from schema.execution.guards import Guarded
from tests.execution.inputs import SCALARS, Blob, Choice, Colour, Moment, Point, Shape, Size
from tests.execution.parts import Bird, Deny, Shout, Troubled, bird, written
from tests.execution.relating import relation
from tests.execution.trouble import Context, Promise, Trouble, either, few, meet

Info = StrawberryInfo[Context, None]


Item = TypeVar("Item")


@strawberry.type
class Box(Generic[Item]):
    label: str
    item: Item | None
    items: list[Item]


@strawberry.interface
class Named:
    name: str | None = None
    code: strawberry.ID = strawberry.ID("")

    @strawberry.field
    def greeting(self, info: Info, politely: bool = False) -> str:
        return either(info.context.meet("greeting", self.code, politely), f"hello {self.code} {politely}")


@strawberry.interface
class Sized(Named):
    size: Size | None = None


@strawberry.type
class Leaf(Sized):
    number: int = 0
    ratio: float | None = 0.5
    flag: bool = True
    at: Moment | None = None
    blob: Blob | None = None
    colours: list[Colour | None] | None = None
    grid: list[list[int]] | None = None


def numbered(source: Branch, context: Context, *, ahead: int = 1, colour: Colour | None = None) -> int | None:
    if colour is Colour.RED:
        raise ValueError("nothing is red there")
    return source.number + few(ahead) if context.seed % 5 else None


@strawberry.type
class Branch(Named, Troubled):
    number: int
    seed: strawberry.Private[int]
    share: strawberry.Private[float]

    # Deleted, awaitable or an exception by chance.
    fragile: int

    strict: int = strawberry.field(resolver=lambda root: root.attribute("strict", root.number))

    @strawberry.field
    def echo(
        self,
        info: Info,
        text: str = "x",
        number: int | None = None,
        colour: Colour = Colour.RED,
        colours: list[Colour] | None = None,
        shape: Shape | None = None,
        choice: Choice | None = None,
        moment: Moment | None = None,
        blob: Blob | None = None,
        ratio: Annotated[float, strawberry.argument(name="asRatio")] = 1.5,
        ids: list[strawberry.ID] | None = None,
    ) -> str | None:
        given = [written(each) for each in (text, number, colour, colours, shape, choice, moment, blob, ratio, ids)]
        return either(info.context.meet("echo", self.number, given), " ".join(given))

    @strawberry.field
    async def later(self, info: Info, points: list[Point], limit: int = 3) -> list[str]:
        given = written(points)
        found = info.context.meet("later", self.number, given, limit)
        await asyncio.sleep(0)
        return either(found, [given] * few(limit))

    @strawberry.field
    async def loaded(self, info: Info, key: str | None = None) -> str:
        return await info.context.batches.load(key or f"k{self.number}")

    @strawberry.field
    async def loaded_twice(self, info: Info) -> str | None:
        return await info.context.batches.load(await info.context.batches.load(f"t{self.number}"))

    @relation("batches", by="odd")
    @staticmethod
    def related(loaded: str | None) -> str | None:
        return loaded

    @relation("branches", by=lambda branch, context: branch.number + 1 if context.seed % 5 else None)
    @staticmethod
    def next(loaded: Any) -> Branch | None:
        return branch(*loaded) if loaded else None

    @relation("branches", by=lambda branch, context: branch.number + 2)
    @staticmethod
    def after(loaded: Any, times: int = 1, colour: Colour | None = None) -> list[Branch | None]:
        return [branch(*loaded) if loaded and colour is not Colour.RED else None] * few(times)

    @relation("branches", by=numbered, keyed=True)
    @staticmethod
    def reached(loaded: Any, ahead: int = 1, colour: Colour | None = None) -> list[Branch | None]:
        return [branch(*loaded) if loaded else None] * few(ahead)

    @relation("batches", by=lambda branch, context: f"g{branch.number}")
    @staticmethod
    def guarded_related(loaded: str | None) -> str:
        return cast(str, loaded)

    @relation("branches", by="number")
    @staticmethod
    def birds(loaded: Any, count: int = 2) -> list[Bird]:
        return [bird(loaded[0], loaded[1] + each) for each in range(few(count))]

    @strawberry.field
    def double(self, times: int = 2) -> int:
        return self.number * times

    @property
    def odd(self) -> str | None:
        return f"o{self.number}" if self.number % 2 else None

    @strawberry.field
    async def child(self, info: Info, fresh: bool = True) -> Branch | None:
        await asyncio.sleep(0)
        return either(info.context.meet("child", self.number), branch(info.context, self.number + 1))

    @strawberry.field
    def leaf(self, info: Info) -> Leaf:
        return either(info.context.meet("leaf", self.number), leaf(info.context, self.number))

    @strawberry.field
    def anything(
        self, info: Info
    ) -> Annotated[Leaf | Branch | Box[Leaf] | Box[int], strawberry.union("Anything")] | None:
        found = info.context.meet("anything", self.number)
        return either(found, cast(Leaf, anything(info.context, self.number)))

    @strawberry.field
    async def named(self, info: Info, count: int = 3) -> list[Named | None]:
        found = info.context.meet("named", self.number, count)
        return either(found, [anything(info.context, each, named=True) for each in range(few(count))])

    @strawberry.field
    def sized(self, info: Info) -> Sized | None:
        return either(info.context.meet("sized", self.number), leaf(info.context, self.number))

    @strawberry.field
    def branches(self, info: Info, count: int = 3) -> list[Branch]:
        return either(
            info.context.meet("branches", self.number, count),
            [item(info.context, self.number * 3 + each) for each in range(few(count))],
        )

    @strawberry.field
    def awaited(self, info: Info, count: int = 2) -> list[Leaf | None]:
        return [awaited_leaf(info.context, self.number + each) for each in range(few(count))]  # type: ignore[misc]

    @strawberry.field
    def drawn(self, info: Info) -> list[Leaf]:
        return draw_leaves(info.context, self.number)  # type: ignore[return-value]

    @strawberry.field
    def box(self, info: Info) -> Box[Leaf]:
        inside = leaf(info.context, self.number)
        return Box(label="box", item=either(info.context.meet("box", self.number), inside), items=[inside, inside])

    @strawberry.field(permission_classes=[Deny])  # type: ignore[untyped-decorator]
    def secret(self, info: Info) -> str:
        return f"secret {info.field_name} {info.python_name}"

    @strawberry.field(extensions=[Shout()])  # type: ignore[untyped-decorator]
    def loud(self, text: str = "hey") -> str:
        return text

    @strawberry.field
    def place(self, info: Info) -> str:
        keys = info.path.as_list() if hasattr(info.path, "as_list") else []
        selected = [each.name for each in info.selected_fields]  # type: ignore[union-attr]
        raw = info._raw_info
        return (
            f"{keys} {info.path.typename} {selected} {raw.parent_type} {raw.return_type} {info.variable_values!r} "
            f"{info.input_extensions} {len(info.query or '')} {raw.operation.operation} {sorted(raw.fragments)}"
        )

    @strawberry.field
    @staticmethod
    def still() -> str:
        return "still"

    @strawberry.field
    def parent_name(parent: strawberry.Parent[Any], info: Info) -> str:  # noqa: N805
        return f"{parent.number}"

    @strawberry.field
    def guarded(self, info: Info, number: int = 1) -> int:
        return self.number + number


def leaf(context: Context, number: int) -> Leaf:
    def maybe(name: str, value: Any) -> Any:
        try:
            return either(meet(context.seed, context.share, "leaf", number, name), value)
        except Trouble:
            return "nonsense"

    return Leaf(
        name=maybe("name", f"leaf {number}"),
        code=maybe("code", strawberry.ID(f"l{number}")),
        size=maybe("size", Size.LARGE),
        number=maybe("number", [number, 2**40, True, "7"][number % 4]),
        ratio=maybe("ratio", [0.5, float("nan"), 3, Decimal("1.5")][number % 4]),
        flag=maybe("flag", [True, 1, "yes"][number % 3]),
        at=maybe("at", Moment(datetime(2026, 11, 29, tzinfo=UTC))),
        blob=maybe("blob", Blob({"kind": ["plain", "refused", "nothing"][number % 3]})),
        colours=maybe("colours", [Colour.RED, None, Colour.BLUE, maybe("colour", Colour.GREEN)]),
        grid=maybe("grid", [[1, 2], maybe("row", [3]), []]),
    )


def branch(context: Context, number: int) -> Branch:
    made = Branch(
        name=f"branch {number}",
        code=strawberry.ID(f"b{number}"),
        number=number,
        fragile=number,
        seed=context.seed,
        share=context.share,
    )
    turn = context.draw("fragile", number).randrange(10)
    if turn == 0:
        del made.fragile
    elif turn == 1:
        made.fragile = Promise(number)  # type: ignore[assignment]
    elif turn == 2:
        made.fragile = Trouble("kept")  # type: ignore[assignment]
    return made


def item(context: Context, number: int) -> Any:
    try:
        return either(meet(context.seed, context.share / 2, "item", number), branch(context, number))
    except Trouble as trouble:
        return trouble


def anything(context: Context, number: int, *, named: bool = False) -> Any:
    turn = context.draw("anything", number).randrange(8 if named else 10)
    if turn < 3:
        return leaf(context, number)
    if turn < 6:
        return branch(context, number)
    if turn == 6:
        return strawberry.cast(Leaf, Imitation(number, f"imitation {number}", strawberry.ID("i"), Size.SMALL))
    if turn == 7:
        return object()
    box: Box[Any] = Box(label="int", item=1, items=[1, 2])
    return box if turn == 8 else Box(label="leaf", item=leaf(context, 1), items=[leaf(context, 2)])


@dataclass
class Imitation:
    number: int
    name: str
    code: strawberry.ID
    size: Size


async def awaited_leaf(context: Context, number: int) -> Leaf:
    found = context.meet("awaited", number)
    await asyncio.sleep(0)
    return either(found, leaf(context, number))


def draw_leaves(context: Context, number: int) -> Iterator[Any]:
    yield leaf(context, number)
    yield awaited_leaf(context, number + 5)
    context.meet("drawn", number)
    yield leaf(context, number + 1)


@strawberry.type
class Query:
    @strawberry.field
    def top(self, info: Info, number: int = 1) -> Branch | None:
        return branch(info.context, number)

    @strawberry.field
    async def strict(self, info: Info, number: int = 2) -> Branch:
        return either(info.context.meet("strict", number), branch(info.context, number))

    @strawberry.field
    def tops(self, info: Info) -> list[Branch | None] | None:
        return [item(info.context, each) for each in range(4)]

    @strawberry.field
    def root_name(root: Any) -> str:  # noqa: N805
        return repr(root)

    plain: str = strawberry.field(default="plain")

    @strawberry.field
    def future(self) -> str:
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        done.set_result("future")
        return done  # type: ignore[return-value]


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def change(self, info: Info, number: int = 1) -> Branch | None:
        info.context.calls.append(f"begin {number}")
        await asyncio.sleep(0)
        found = info.context.meet("change", number)
        info.context.calls.append(f"end {number}")
        return either(found, branch(info.context, number))

    @strawberry.mutation
    def at_once(self, info: Info, shape: Shape | None = None) -> str:
        return either(info.context.meet("at once", written(shape)), "done")


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def branches(self, info: Info) -> AsyncGenerator[Branch, None]:
        yield branch(info.context, 1)


def guard(resolve: Any) -> Any:
    def guarded(source: Any, info: Any, /, **arguments: Any) -> Any:
        info.context.calls.append(f"guard {source.number}")
        if source.number % 4 == 0:
            raise Trouble("guarded")
        return resolve(source, info, **arguments)

    return guarded


def check(resolve: Any) -> Any:
    """A check that does nothing else, so it may be asked for twice."""

    def checked(source: Any, info: Any, /, **arguments: Any) -> Any:
        if (source.number + info.context.seed) % 7 == 0:
            raise Trouble("checked")
        return resolve(source, info, **arguments)

    return checked


def build() -> strawberry.Schema:
    schema = strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[Leaf, Branch],
        config=StrawberryConfig(scalar_map=SCALARS),
    )
    fields: Any = schema._schema.type_map["Branch"]
    for name in ("guarded", "number"):
        fields.fields[name].resolve = Guarded(Guarded(fields.fields[name].resolve, guard), guard)
    for name in ("guardedRelated", "code"):
        fields.fields[name].resolve = Guarded(fields.fields[name].resolve, check, repeatable=True)
    return schema
