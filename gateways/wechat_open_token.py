"""The access token of the mini-program platform (接口调用凭据), `POST /cgi-bin/stable_token`.

Source: WeChat's mini-program documentation, "获取稳定版接口调用凭据 getStableAccessToken". In the ordinary mode the
platform gives every process the same token as long as it is valid, so it is itself the cache that processes share; what
is kept here spares the request. A forced refresh ends the token of all others, and is allowed 20 times a day and at
most every 30 seconds, so it is the last resort.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from gateways.documents import Document, Malformed, parse, text
from gateways.exchange import Unsettled, exchange
from kernel.logs import get_logger
from kernel.tasks import spawn

PATH = "/cgi-bin/stable_token"
# In a token's last five minutes the platform hands out the next one, and both are valid.
REFRESH_BEFORE_S = 240.0
FORCE_INTERVAL_S = 30.0
LIFETIME_MAX_S = 7_200

log = get_logger(__name__)


class TokenUnavailable(Unsettled):
    """The platform gave no token, so nothing has been asked of it with one."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    value: str = field(repr=False)
    fresh_until_s: float


class AccessTokens:
    """Gives out one token to everybody; however many ask at once, one request goes out. It is never logged."""

    def __init__(
        self,
        *,
        client: httpx.AsyncClient,
        app_id: str,
        app_secret: str,
        timeout_s: float,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._app_id, self._app_secret, self._timeout_s = client, app_id, app_secret, timeout_s
        self._monotonic_s = monotonic_s
        self._token: AccessToken | None = None
        self._fetching: asyncio.Task[AccessToken] | None = None
        self._forced_at_s: float | None = None

    async def current(self) -> str:
        """Return a token that should be valid. Raises TokenUnavailable."""
        token = self._token
        if token is None or token.fresh_until_s <= self._monotonic_s():
            token = await self._fetch(refused=None)
        return token.value

    async def after_refusal(self, refused: str) -> str:
        """Return another token than the one that the platform has just refused (40001). Raises TokenUnavailable."""
        token = self._token
        if token is None or token.value == refused:
            token = await self._fetch(refused=refused)
        if token.value == refused:
            raise TokenUnavailable("the platform gave the token again that it refuses")
        return token.value

    async def _fetch(self, refused: str | None) -> AccessToken:
        under_way = self._fetching
        if under_way is not None:
            try:
                return await asyncio.shield(under_way)
            except TokenUnavailable:
                # It was begun before this call came, and what was wrong then may be over.
                pass
        if self._fetching is None:
            self._fetching = spawn(self._renew(refused), name="wechat_open:token")
            self._fetching.add_done_callback(self._fetched)
        # A caller that is cancelled leaves the request to the others who wait for it.
        return await asyncio.shield(self._fetching)

    def _fetched(self, task: asyncio.Task[AccessToken]) -> None:
        self._fetching = None
        if not task.cancelled():
            # Reading the error marks it as seen where nobody waits any more.
            task.exception()

    async def _renew(self, refused: str | None) -> AccessToken:
        token = await self._ask(force=False)
        # Another process may have refreshed already; only a token that is still the refused one is replaced by force.
        if token.value == refused and self._may_force():
            self._forced_at_s = self._monotonic_s()
            log.warning("wechat_open.token_forced")
            token = await self._ask(force=True)
        self._token = token
        return token

    def _may_force(self) -> bool:
        return self._forced_at_s is None or self._monotonic_s() - self._forced_at_s >= FORCE_INTERVAL_S

    async def _ask(self, *, force: bool) -> AccessToken:
        asked_at_s = self._monotonic_s()
        try:
            answer = await exchange(self._client, lambda: self._request(force), budget_s=self._timeout_s)
            if answer.refused:
                raise TokenUnavailable(f"status {answer.status}")
            return self._read(parse(answer.body), asked_at_s)
        except TokenUnavailable:
            raise
        except (Unsettled, Malformed) as error:
            raise TokenUnavailable(f"token: {error}") from None

    def _request(self, force: bool) -> httpx.Request:
        body = {
            "grant_type": "client_credential",
            "appid": self._app_id,
            "secret": self._app_secret,
            "force_refresh": force,
        }
        return self._client.build_request("POST", PATH, json=body)

    def _read(self, document: Document, asked_at_s: float) -> AccessToken:
        if document.get("errcode", 0) != 0:
            raise Malformed(f"errcode {document['errcode']!r}"[:32])
        lifetime_s = document.get("expires_in")
        if isinstance(lifetime_s, bool) or not isinstance(lifetime_s, int) or not 0 < lifetime_s <= LIFETIME_MAX_S:
            raise Malformed("expires_in is not a number of seconds")
        value = text(document, "access_token")
        return AccessToken(value, asked_at_s + max(0.0, lifetime_s - REFRESH_BEFORE_S))
