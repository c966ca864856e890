"""Asks as clients do: by an executor that comes to know the operation, and by one that executes by graphql-core."""

from __future__ import annotations

from typing import Any, cast

import orjson

from domain.identity.viewer import Viewer
from domain.stations.feed import PriceFeed
from domain.stations.index import StationIndex
from kernel.settings import Settings
from resolvers import loaders
from schema.execution.executor import GENERATES_AFTER
from schema.root import build
from schema.types.charges import Meter
from schema.types.context import Context, Services
from subscriptions.execution import Executed, Executor
from subscriptions.requests import GraphQLRequest

SCHEMA, BY_CORE = build(), build(compiles=False)


class BothWays:
    def __init__(self) -> None:
        nobody, settings, stations = cast(Any, None), Settings(), StationIndex()
        self.services = Services(
            settings=settings, third_parties=nobody, policy=nobody, sealer=nobody, tokens=nobody, events=nobody,
            stations=stations, prices=PriceFeed(stations),
        )  # fmt: skip
        self.planned = Executor(SCHEMA, loaders=loaders.build)
        self.core = Executor(BY_CORE, loaders=loaders.build)

    async def ask(
        self, by: Executor, viewer: Viewer | None, text: str, variables: dict[str, Any]
    ) -> tuple[bytes, Meter]:
        meter = Meter()
        context = Context(self.services, viewer=viewer, locale="en", meter=meter)
        found = by.answer_bytes(by.prepare(GraphQLRequest(text, variables, None, None), context), context)
        return (found if isinstance(found, Executed) else await found).body, meter

    async def known(self, viewer: Viewer | None, text: str, **variables: Any) -> bytes:
        """Return the answer that is the same by both, and counts the same, when the operation is known well."""
        for _ in range(GENERATES_AFTER + 2):
            found, meter = await self.ask(self.planned, viewer, text, variables)
        expected, counted = await self.ask(self.core, viewer, text, variables)
        # PostgreSQL writes 31.0 as 31.
        assert orjson.loads(found) == orjson.loads(expected)
        assert (meter.fields, meter.types) == (counted.fields, counted.types)
        return found
