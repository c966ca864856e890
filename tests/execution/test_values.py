"""Mere values and parts of rows, which generated code writes without making objects of them."""

from __future__ import annotations

from enum import Enum
from inspect import isawaitable
from typing import Any, NamedTuple

import pytest
import strawberry
from graphql import parse, validate

from schema.execution import generating
from schema.execution.documents import OperationCache
from schema.execution.executor import Executor
from schema.types.rows import Made, OfRow

DOCUMENT = "{ purse { coins { worth { fen text } mint } first { worth { text } } } }"
written: list[int] = []
made: list[str] = []


def text_of(fen: int) -> str:
    written.append(fen)
    return f"{fen} fen"


@strawberry.enum
class Mint(Enum):
    EAST = "east of here"
    WEST = "west"


class CoinRow(NamedTuple):
    fen: Any
    mint: Mint = Mint.EAST


class PurseRow(NamedTuple):
    coins: Any


@strawberry.type
class Worth(OfRow[int]):
    fen: int
    text: str

    readers = {"fen": lambda fen: fen, "text": text_of}
    value_of = int

    @classmethod
    def of(cls, row: int) -> Worth:
        made.append("worth")
        return super().of(row)


@strawberry.type
class Coin(OfRow[CoinRow]):
    worth: Worth
    mint: Mint

    readers = {"worth": Made(Worth, "fen")}

    @classmethod
    def of(cls, row: CoinRow) -> Coin:
        made.append("coin")
        return super().of(row)


@strawberry.type
class Purse(OfRow[PurseRow]):
    coins: list[Coin]
    first: Coin

    readers = {"coins": Made(Coin, "coins", many=True), "first": lambda row: Coin.of(row.coins[0])}


@strawberry.type
class Query:
    @strawberry.field
    def purse(self, info: strawberry.Info[list[CoinRow], None]) -> Purse:
        return Purse.of(PurseRow(info.context))


SCHEMA = strawberry.Schema(query=Query)._schema


class Asking:
    """Executes the document, of which nothing is known before, by its plan and by graphql-core."""

    def __init__(self) -> None:
        cache = OperationCache(parse, lambda node: validate(SCHEMA, node), size_max_bytes=1 << 22)
        self.document = cache.get(DOCUMENT)
        self.planned = Executor(SCHEMA, hide_suggestions=False, generates_after=1)
        self.core = Executor(SCHEMA, hide_suggestions=False, compiles=False)

    async def execute(self, by: Executor, coins: Any) -> Any:
        assert self.document.valid
        (operation,) = self.document.operations
        result = by.execute(self.document, operation, root=None, context=coins, variables=None, extensions=None)
        return await result if isawaitable(result) else result


@pytest.fixture
async def known() -> Asking:
    """One that has generated what it can, and remembers one value."""
    asking = Asking()
    for _ in range(2):
        await asking.execute(asking.planned, [CoinRow(1)])
    return asking


async def same(known: Asking, coins: Any) -> Any:
    """Return what the plan has come to, which is what graphql-core has come to."""
    expected = await known.execute(known.core, coins)
    written.clear()
    made.clear()
    found = await known.execute(known.planned, coins)
    assert found.data == expected.data
    assert [each.formatted for each in found.errors or ()] == [each.formatted for each in expected.errors or ()]
    return found


async def test_what_is_only_read_is_not_made(known: Asking) -> None:
    await same(known, [CoinRow(7), CoinRow(8, Mint.WEST)])
    assert made == ["coin"], "the first one is made by a function that nobody knows"


async def test_equal_values_are_written_once(known: Asking) -> None:
    coins = [CoinRow(each % 3 + 10) for each in range(30)]
    await same(known, coins)
    assert sorted(written) == [10, 10, 11, 12], "once at each of the two places"
    await same(known, coins)
    assert written == []


async def test_no_more_values_are_remembered_than_there_is_room_for(known: Asking) -> None:
    coins = [CoinRow(each) for each in range(100, 100 + 2 * generating.VALUES_KNOWN_MAX)]
    await same(known, coins)
    await same(known, coins)
    assert generating.VALUES_KNOWN_MAX // 2 < len(written) <= generating.VALUES_KNOWN_MAX + 2


@pytest.mark.parametrize("fen", [None, True, 1.0, 1 << 40, "7", ValueError("spoilt")])
async def test_other_rows_than_those_of_the_value_are_looked_at(known: Asking, fen: Any) -> None:
    await same(known, [CoinRow(1), CoinRow(fen)])


@pytest.mark.parametrize("coins", [(), None, [None], [CoinRow(1), None], (CoinRow(1),)])
async def test_lists_that_are_none_are_looked_at(known: Asking, coins: Any) -> None:
    await same(known, coins)


async def test_enums_are_written_by_their_names_in_the_schema(known: Asking) -> None:
    found = await same(known, [CoinRow(1, Mint.WEST), CoinRow(1, "nonsense")])  # type: ignore[arg-type]
    assert found.errors
    found = await same(known, [CoinRow(1, Mint.WEST), CoinRow(1)])
    assert [each["mint"] for each in found.data["purse"]["coins"]] == ["WEST", "EAST"]
