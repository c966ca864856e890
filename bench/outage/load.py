"""Two kinds of clients at the same time: those who ask what needs the map service, and those who do not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

# What needs nobody but the database.
UNRELATED = "{ serviceStatus { mode } stations(first: 20) { edges { node { id name brand address } } } }"
# What needs the map service; the place differs with each request, so nothing is remembered.
RELATED = "query ($x: Float!) { placeAt(location: { latitude: 31.2, longitude: $x }) { title } }"
UNRELATED_CLIENTS, RELATED_CLIENTS = 4, 8
# The map is asked at a steady pace, so that a dead one does not leave more of the machine to the others.
PAUSE_S, RELATED_PAUSE_S = 0.005, 0.1
RECOVERS_WITHIN_S = 60.0


class OutageFailed(RuntimeError):
    """An answer was wrong, so what was measured says nothing."""


@dataclass(slots=True)
class Round:
    """Latencies in milliseconds, and how many of the related answers were degraded."""

    unrelated_ms: list[float] = field(default_factory=list)
    related_ms: list[float] = field(default_factory=list)
    degraded: int = 0

    def add(self, other: Round) -> None:
        self.unrelated_ms += other.unrelated_ms
        self.related_ms += other.related_ms
        self.degraded += other.degraded


def percentile(values: list[float], share: float) -> float:
    """Return the value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def measure(http: httpx.AsyncClient, *, seconds: float) -> Round:
    """Let both kinds of clients ask, each again as soon as it is answered. Raises OutageFailed."""
    result, until_s = Round(), time.monotonic() + seconds

    async def unrelated() -> None:
        while time.monotonic() < until_s:
            body, took_ms = await _ask(http, UNRELATED, {})
            if "errors" in body or not body["data"]["stations"]["edges"]:
                raise OutageFailed(f"the unrelated query answered {str(body)[:200]}")
            result.unrelated_ms.append(took_ms)
            await asyncio.sleep(PAUSE_S)

    async def related(place: Callable[[], float]) -> None:
        while time.monotonic() < until_s:
            body, took_ms = await _ask(http, RELATED, {"x": place()})
            result.related_ms.append(took_ms)
            result.degraded += "errors" in body
            await asyncio.sleep(RELATED_PAUSE_S)

    places = iter(range(10**9))
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(UNRELATED_CLIENTS):
                group.create_task(unrelated())
            for _ in range(RELATED_CLIENTS):
                group.create_task(related(lambda: 121 + next(places) % 10_000 / 10_000))
    except ExceptionGroup as failed:
        # The first client that met a wrong answer has ended the others.
        raise failed.exceptions[0] from None
    return result


async def until_recovered(http: httpx.AsyncClient) -> float:
    """Return after how many seconds the map is asked again and answers. Raises OutageFailed."""
    began_s = time.monotonic()
    while (waited_s := time.monotonic() - began_s) < RECOVERS_WITHIN_S:
        body, _ = await _ask(http, RELATED, {"x": 121.5})
        if "errors" not in body:
            return waited_s
        await asyncio.sleep(0.05)
    raise OutageFailed(f"the map was not asked again within {RECOVERS_WITHIN_S:.0f} s")


async def _ask(http: httpx.AsyncClient, query: str, variables: dict[str, Any]) -> tuple[dict[str, Any], float]:
    began_s = time.monotonic()
    answer = await http.post("/graphql", json={"query": query, "variables": variables})
    return answer.json(), (time.monotonic() - began_s) * 1_000
