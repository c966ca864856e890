"""Signing in the way the mini-program does, against the sandbox's login."""

from __future__ import annotations

import os

import httpx

GRANT_TYPE = "urn:youka:oauth:grant-type:mini-program"


def server_url() -> str:
    return os.environ.get("YOUKA_URL", f"http://127.0.0.1:{os.environ.get('PORT', '8000')}")


def sandbox_url() -> str:
    return os.environ.get("YOUKA_SANDBOX_URL", f"http://127.0.0.1:{os.environ.get('SANDBOX_PORT', '8001')}")


async def sign_in(user: str, *, scope: str = "") -> str:
    """Return an access token of a demo user, with the scopes asked for or the usual ones. Raises httpx.HTTPError."""
    async with httpx.AsyncClient(trust_env=False) as http:
        login = await http.post(f"{sandbox_url()}/control/wx-login", json={"user": user})
        login.raise_for_status()
        form = {"grant_type": GRANT_TYPE, "code": login.json()["code"], **({"scope": scope} if scope else {})}
        token = await http.post(f"{server_url()}/oauth/token", data=form)
        token.raise_for_status()
    return str(token.json()["access_token"])
