"""Breakers that processes share by a real Redis, and that work alone where there is none."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import httpx
import pytest
from redis.asyncio import Redis

from gateways.breakers import KEY_PREFIX, Breakers, keeping_breakers
from gateways.guard import BreakerOpen
from tests.gateways.guarding import FAILURES_MAX, PAUSE_S, Party, guarded, settings_for, unused_redis_url
from tests.sandbox_fixtures import ROOT

# Another process: it fails as often as it is told, and prints what it finds then.
PROCESS = """
import asyncio, sys
from tests.gateways.guarding import Party, guarded, settings_for
from gateways.breakers import keeping_breakers
from gateways.guard import BreakerOpen

async def main(url, failures):
    settings, party = settings_for(redis_url=url, third_party_pause_s=60), Party()
    async with keeping_breakers(settings) as breakers, guarded(party, settings, breakers) as (client, _):
        party.status = 500
        for _ in range(failures):
            await client.get("/")
        party.status = 200
        try:
            print((await client.get("/")).status_code)
        except BreakerOpen:
            print("open")

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def state(breakers: Breakers, party: Party, *, status: int = 200, **changes: object) -> str:
    """Call once, as another client would, and return what becomes of it."""
    party.status = status
    async with guarded(party, settings_for(**changes), breakers) as (client, _):
        try:
            return str((await client.get("/")).status_code)
        except BreakerOpen:
            return "open"


def in_another_process(url: str, *, failures: int) -> str:
    command = [sys.executable, "-c", PROCESS, url, str(failures)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()[-1]


async def test_what_one_process_has_found_the_others_know(redis_url: str) -> None:
    settings, party = settings_for(redis_url=redis_url, third_party_pause_s=60), Party()
    async with keeping_breakers(settings) as breakers:
        assert await state(breakers, party) == "200"
        assert await asyncio.to_thread(in_another_process, redis_url, failures=FAILURES_MAX) == "open"
        assert await state(breakers, party) == "open"
        assert party.asked == 1
    assert await asyncio.to_thread(in_another_process, redis_url, failures=0) == "open"


async def test_failures_of_several_processes_add_up(redis_url: str) -> None:
    settings, party = settings_for(redis_url=redis_url), Party()
    async with keeping_breakers(settings) as ours, keeping_breakers(settings) as theirs:
        for number in range(FAILURES_MAX):
            assert await state(ours if number % 2 else theirs, party, status=500) == "500"
        assert await state(ours, party) == await state(theirs, party) == "open"


async def test_one_process_at_a_time_tries_and_its_success_is_everybodys(redis_url: str) -> None:
    settings, party = settings_for(redis_url=redis_url), Party()
    async with keeping_breakers(settings) as ours, keeping_breakers(settings) as theirs:
        for _ in range(FAILURES_MAX):
            await state(ours, party, status=500)
        await asyncio.sleep(PAUSE_S)
        party.hangs = True
        trying = asyncio.create_task(state(ours, party))
        await party.until_asked(FAILURES_MAX + 1)
        assert await state(theirs, party) == "open"
        party.hangs = False
        party.released.set()
        assert await trying == "200"
        assert await state(theirs, party) == "200"


async def test_the_right_to_try_ends_with_who_was_killed(redis_url: str) -> None:
    settings, party = settings_for(redis_url=redis_url), Party()
    async with keeping_breakers(settings) as ours:
        for _ in range(FAILURES_MAX):
            await state(ours, party, status=500)
        await asyncio.sleep(PAUSE_S)
        found = await ours.contexts.get("tested")
        assert found is not None
        assert found.state == "half-opened"
        assert await state(ours, party) == "open"
        await asyncio.sleep(settings.third_party_timeout_s)
        assert await state(ours, party) == "200"


async def test_one_party_is_not_the_other(redis_url: str) -> None:
    settings, party = settings_for(redis_url=redis_url), Party()
    async with keeping_breakers(settings) as breakers:
        for _ in range(FAILURES_MAX):
            await state(breakers, party, status=500)
        party.status = 200
        async with guarded(party, settings, breakers, name="another") as (client, _):
            assert (await client.get("/")).status_code == 200


async def test_what_is_kept_ends(redis_url: str) -> None:
    settings, party = settings_for(redis_url=redis_url), Party()
    async with keeping_breakers(settings) as breakers, Redis.from_url(redis_url) as redis:
        await state(breakers, party, status=500)
        assert await redis.ttl(f"{KEY_PREFIX}tested") > 0
        await state(breakers, party)
        assert not await redis.exists(f"{KEY_PREFIX}tested")


class TestWithoutRedis:
    async def test_a_redis_that_is_not_there_keeps_nobody_from_calling(self) -> None:
        settings, party = settings_for(redis_url=unused_redis_url()), Party()
        async with keeping_breakers(settings) as breakers:
            assert await state(breakers, party) == "200"
            for _ in range(FAILURES_MAX):
                assert await state(breakers, party, status=500) == "500"
            # Alone it still protects the third party and itself.
            assert await state(breakers, party) == "open"

    async def test_a_redis_that_hangs_costs_one_call_in_a_while(self) -> None:
        async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await over.wait()
            writer.close()

        over = asyncio.Event()
        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        settings, party = settings_for(redis_url=f"redis://127.0.0.1:{port}/0"), Party()
        async with keeping_breakers(settings) as breakers, guarded(party, settings, breakers) as (client, _):
            for _ in range(20):
                assert (await client.get("/")).status_code == 200
        over.set()
        server.close()
        await server.wait_closed()

    async def test_a_redis_that_dies_between_two_calls(self, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        settings, party = settings_for(redis_url=redis_url), Party()
        async with keeping_breakers(settings) as breakers:
            for _ in range(FAILURES_MAX):
                await state(breakers, party, status=500)
            assert await state(breakers, party) == "open"

            async def lost(*_arguments: object) -> None:
                raise ConnectionResetError

            monkeypatch.setattr(Redis, "eval", lost)
            # What nobody can say any more is tried.
            assert await state(breakers, party) == "200"


async def test_the_errors_are_httpx_s_own() -> None:
    """Gateways map what httpx raises, so nothing of a guard passes them by."""
    assert issubclass(BreakerOpen, httpx.TransportError)
