"""A scenario that is played from its file while the house works: the order ends right, and the books balance."""

from __future__ import annotations

import asyncio

import httpx

from sandbox.scenario import Player, read
from tests.sandbox_fixtures import ROOT, Sandbox
from tests.schema.conftest import Client
from tests.schema.support import PAY, ask, bind_card, order, work

STATE = "query ($id: ID!) { order(id: $id) { state } }"


async def test_an_issuer_that_never_says_so(client: Client, sandbox: Sandbox) -> None:
    wanted = await order(client, await bind_card(client))
    answer = await ask(client, PAY, order=wanted["id"], key="pay-key-1")
    assert answer["__typename"] == "PayRechargeSuccess"

    def play() -> None:
        with httpx.Client(base_url=sandbox.url, trust_env=False) as http:
            Player(http).play(read(ROOT / "sandbox" / "scenarios" / "silent-issuer.json"))

    playing = asyncio.create_task(asyncio.to_thread(play))
    async with asyncio.timeout(60):
        while (await client.ask(STATE, {"id": wanted["id"]}))["order"]["state"] != "SUCCEEDED" or not playing.done():
            await work(client)
            await asyncio.sleep(0.05)
    await playing
