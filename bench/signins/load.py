"""Queries at a steady pace, alone and beside clients that sign in without a pause."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from bench.signins.house import House, step_back
from bench.signins.options import Options

QUERY = """
query { stations(near: { latitude: 31.23, longitude: 121.47 }, first: 5) { edges { node { id name } } } }"""
ANSWER_WITHIN_S = 60.0


class LoadFailed(RuntimeError):
    """An answer was wrong, so nothing was measured."""


@dataclass(slots=True)
class Half:
    """One half of a round: the latencies of its queries, and how many signed in beside them."""

    latencies_ms: list[float] = field(default_factory=list)
    sign_ins: int = 0

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def measure(house: House, options: Options) -> list[tuple[Half, Half]]:
    """Return each round's quiet half and busy half. Raises LoadFailed or httpx.HTTPError."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=house.url, trust_env=False, timeout=ANSWER_WITHIN_S, limits=limits) as http:
        await _ask(http, Half(), options.seconds / 2, options.queries_per_s)
        rounds = []
        for _ in range(options.rounds):
            quiet, busy = Half(), Half()
            await _ask(http, quiet, options.seconds, options.queries_per_s)
            async with _signing_in(house, busy, options):
                await _ask(http, busy, options.seconds, options.queries_per_s)
            rounds.append((quiet, busy))
        return rounds


async def _ask(http: httpx.AsyncClient, half: Half, seconds: float, per_s: float) -> None:
    """Ask at a steady pace; a query that is late does not delay the next, or it would hide how late they are."""

    async def one(due_s: float) -> None:
        answer = await http.post("/graphql", json={"query": QUERY})
        half.latencies_ms.append((time.monotonic() - due_s) * 1_000)
        if answer.status_code != 200 or not answer.json()["data"]["stations"]["edges"]:
            raise LoadFailed(answer.text[:200])

    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(seconds * per_s)):
            due_s = began_s + number / per_s
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            group.create_task(one(due_s))


@asynccontextmanager
async def _signing_in(house: House, half: Half, options: Options) -> AsyncIterator[None]:
    """Let the clients sign in again and again until the context ends, from a process of their own: this one measures.

    Raises LoadFailed.
    """
    rush = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.signins.rush", house.url, house.sandbox_url, str(options.clients),
        stdin=PIPE, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    step_back(rush.pid)
    try:
        assert rush.stdout is not None
        # It says so once every client has signed in for the first time.
        if not await rush.stdout.readline():
            raise LoadFailed("nobody could sign in")
        yield
    finally:
        # It ends with its standard input, and says how many have signed in since.
        said, problem = await rush.communicate(b"")
    if rush.returncode:
        raise LoadFailed(problem.decode()[-500:])
    half.sign_ins = int(said)
