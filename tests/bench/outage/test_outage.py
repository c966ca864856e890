"""The outage bench counts what is degraded, and ends where an answer is wrong."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from bench.outage.load import UNRELATED, OutageFailed, measure, percentile, until_recovered

STATIONS = {"serviceStatus": {"mode": "NORMAL"}, "stations": {"edges": [{"node": {"id": "1"}}]}}
DEGRADED = {"data": {"placeAt": None}, "errors": [{"extensions": {"code": "PLACES_UNAVAILABLE"}}]}


def service(*, unrelated: Any, related: list[Any]) -> httpx.AsyncClient:
    """A service whose answers about places come one after another, the last one for ever."""

    def answer(request: httpx.Request) -> httpx.Response:
        if orjson.loads(request.content)["query"] == UNRELATED:
            return httpx.Response(200, json=unrelated)
        return httpx.Response(200, json=related.pop(0) if len(related) > 1 else related[0])

    return httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://service")


def test_percentiles_are_values_that_were_there() -> None:
    values = [float(each) for each in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 51.0, 100.0, 100.0]
    assert percentile([7.0], 0.99) == 7.0


async def test_what_is_degraded_is_counted_apart() -> None:
    async with service(unrelated={"data": STATIONS}, related=[DEGRADED]) as http:
        found = await measure(http, seconds=0.05)
    assert found.unrelated_ms
    assert found.degraded == len(found.related_ms) > 0


@pytest.mark.parametrize("wrong", [DEGRADED, {"data": {**STATIONS, "stations": {"edges": []}}}])
async def test_a_wrong_answer_ends_the_bench(wrong: Any) -> None:
    async with service(unrelated=wrong, related=[DEGRADED]) as http:
        with pytest.raises(OutageFailed):
            await measure(http, seconds=5)


async def test_recovery_is_the_first_whole_answer() -> None:
    answers = [DEGRADED, DEGRADED, {"data": {"placeAt": {"title": "x"}}}]
    async with service(unrelated={"data": STATIONS}, related=answers) as http:
        assert await until_recovered(http) >= 0.1
    assert len(answers) == 1
