"""The budget holds whichever of two servers is asked."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from math import ceil
from pathlib import Path

import httpx

from tests.house_process import running
from tests.sandbox_fixtures import Sandbox

CAPACITY = 40
ASKED = 100


async def test_two_servers_share_it(tmp_path: Path, postgres_url: str, redis_url: str, sandbox: Sandbox) -> None:
    environment = {
        "DATABASE_URL": postgres_url,
        "REDIS_URL": redis_url,
        "YOUKA_WORKER_IN_SERVER": "false",
        "YOUKA_RATE_LIMIT_FACTOR": "1",
        "YOUKA_COST_ANONYMOUS_MAX": str(CAPACITY),
        "YOUKA_COST_ANONYMOUS_REFILL_PER_S": "1",
    }
    (first := tmp_path / "first").mkdir()
    (second := tmp_path / "second").mkdir()
    with (
        running(first, sandbox, worker=False, **environment) as one,
        running(second, sandbox, worker=False, **environment) as other,
    ):
        async with httpx.AsyncClient(trust_env=False) as http:
            began_s = time.monotonic()
            answers = await asyncio.gather(
                *(
                    http.post(f"{(one, other)[number % 2].url}/graphql", json={"query": "{ __typename }"})
                    for number in range(ASKED)
                )
            )
            came_back = ceil(time.monotonic() - began_s)
    by_status = Counter(answer.status_code for answer in answers)
    assert by_status.keys() == {200, 429}
    assert CAPACITY <= by_status[200] <= CAPACITY + came_back
