"""A way to ask the schema about stations and prices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
import strawberry
from tortoise import Tortoise

from domain.stations.feed import PriceFeed
from domain.stations.index import StationIndex
from kernel.errors import Locale
from kernel.settings import Settings
from models.lean import Statement
from resolvers import loaders
from schema.root import build
from schema.types.context import Context, Services
from tests.reads import note_reads
from tests.stations.support import NOW, Ask


@pytest.fixture
def index() -> StationIndex:
    return StationIndex()


@pytest.fixture
def ask(database: str, index: StationIndex) -> Ask:
    """Run a query as somebody who is not signed in, at noon of the first of May."""
    assert database
    schema = build()
    nobody = cast(Any, None)
    services = Services(
        settings=Settings(),
        third_parties=nobody,
        policy=nobody,
        sealer=nobody,
        tokens=nobody,
        events=nobody,
        stations=index,
        prices=PriceFeed(index),
    )

    async def run(query: str, *, locale: Locale = "en", **variables: Any) -> strawberry.types.ExecutionResult:
        context = Context(services=services, loaders=loaders.build(lambda: NOW), locale=locale, clock=lambda: NOW)
        return await schema.execute(query, variable_values=variables, context_value=context)

    return run


@pytest.fixture
def statements(database: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that the open database is sent from now on."""
    assert database
    sent: list[str] = []
    client = type(Tortoise.get_connection("default"))

    def counting(name: str) -> None:
        original = getattr(client, name)

        async def run(self: Any, query: str, values: Sequence[Any] | None = None) -> Any:
            sent.append(query)
            return await original(self, query, values)

        monkeypatch.setattr(client, name, run)

    read = client.fetch_rows  # type: ignore[attr-defined]

    async def fetch_rows(self: Any, statement: Statement, arguments: Sequence[Any]) -> Any:
        sent.append(statement.sqlite)
        return await read(self, statement, arguments)

    monkeypatch.setattr(client, "fetch_rows", fetch_rows)
    note_reads(monkeypatch, sent)
    counting("execute_query")
    counting("execute_query_dict")
    return sent
