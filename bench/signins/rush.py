"""`python -m bench.signins.rush URL SANDBOX CLIENTS`: sign in again and again until standard input ends."""

from __future__ import annotations

import asyncio
import sys

import httpx

GRANT_TYPE = "urn:youka:oauth:grant-type:mini-program"
ANSWER_WITHIN_S = 60.0
KEPT_S = 1.0


class Rush:
    def __init__(self) -> None:
        self.signed_in = 0

    async def client(self, http: httpx.AsyncClient, sandbox: httpx.AsyncClient, user: str) -> None:
        """Sign in once. Raises httpx.HTTPError."""
        login = await sandbox.post("/control/wx-login", json={"user": user})
        form = {"grant_type": GRANT_TYPE, "code": login.json()["code"]}
        (await http.post("/oauth/token", data=form)).raise_for_status()
        self.signed_in += 1

    async def run(self, url: str, sandbox_url: str, clients: int) -> int:
        """Return how many signed in after each had done so once. Raises httpx.HTTPError."""
        # Whoever waits in line comes back later than a server keeps a connection that nobody uses.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEPT_S)
        async with (
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=ANSWER_WITHIN_S, limits=limits) as http,
            httpx.AsyncClient(base_url=sandbox_url, trust_env=False, timeout=ANSWER_WITHIN_S, limits=limits) as sandbox,
        ):
            users = [f"bench-{number}" for number in range(clients)]
            await asyncio.gather(*(self.client(http, sandbox, user) for user in users))
            print("begun", flush=True)
            self.signed_in = 0

            async def on_and_on(user: str) -> None:
                while True:
                    await self.client(http, sandbox, user)

            tasks = [asyncio.create_task(on_and_on(user)) for user in users]
            over = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
            await asyncio.wait([over, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            for each in ended:
                if isinstance(each, Exception):
                    raise each
            return self.signed_in


def main(arguments: list[str]) -> int:
    url, sandbox_url, clients = arguments
    print(asyncio.run(Rush().run(url, sandbox_url, int(clients))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
