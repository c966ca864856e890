"""Sending webhooks to URLs that partners chose, without letting them reach into our network.

A host's name is resolved once for each attempt, every address it leads to is checked, and the connection goes to one of
those addresses and not to the name: a name that leads somewhere else a moment later (DNS rebinding) leads nowhere. The
name still goes into the Host header and into TLS, so the certificate is that of the name. Redirects are not followed,
proxies of the environment are not used, and no connection is kept, since it would belong to an address and not to a
name. Of the answer only the status and `Retry-After` are kept: a body that came back could tell of what we can reach.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

import httpx

from domain.webhooks import urls
from domain.webhooks.ports import DeliveryError, Outcome
from domain.webhooks.urls import IPAddress, Target, UrlPolicy, UrlReason, WebhookUrlInvalid
from gateways import observing
from gateways.observing import delivered
from kernel.settings import Settings

USER_AGENT = "Youka-Webhooks/1"
RESOLVE_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 5.0
RESOLUTIONS_CONCURRENT_MAX = 16
ADDRESSES_TRIED_MAX = 3
RETRY_AFTER_LENGTH_MAX = 64
LOWEST_SUCCESS, LOWEST_REDIRECT, LOWEST_SERVER_ERROR = 200, 300, 500

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Resolver:
    """The system's resolver, in threads of its own: a slow name keeps nobody else's work waiting, nor our end."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(RESOLUTIONS_CONCURRENT_MAX)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a name. Raises OSError, or TimeoutError after RESOLVE_TIMEOUT_S."""
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            await self._places.acquire()
            return await self._start(host, port)

    def _start(self, host: str, port: int) -> asyncio.Future[Sequence[str]]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Sequence[str]] = loop.create_future()

        def settle(addresses: Sequence[str], error: OSError | None) -> None:
            self._places.release()
            if found.done():
                return
            if error is None:
                found.set_result(addresses)
            else:
                found.set_exception(error)

        def work() -> None:
            addresses, failure = [], None
            try:
                entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
            except (OSError, UnicodeError) as error:
                failure = error if isinstance(error, OSError) else OSError("not a name")
            # The loop may have ended before the name server answered.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, addresses, failure)

        # A call to the resolver cannot be cancelled, and a thread that is no daemon would keep the process alive.
        threading.Thread(target=work, name="webhooks:resolve", daemon=True).start()
        return found


class HttpWebhookSender:
    """A WebhookSender over HTTP/1.1. `client` returns the same client each time."""

    def __init__(
        self,
        client: Callable[[], httpx.AsyncClient],
        *,
        policy: UrlPolicy,
        resolve: Resolve,
        timeout_s: float,
        answer_size_max: int,
    ) -> None:
        self._client, self._policy, self._resolve = client, policy, resolve
        self._timeout_s, self._answer_size_max = timeout_s, answer_size_max

    async def check(self, url: str) -> None:
        await self._addresses(urls.read(url, self._policy))

    async def send(self, url: str, *, headers: dict[str, str], body: bytes) -> Outcome:
        began_s = time.monotonic()
        status, retry_after_s, error = None, None, None
        try:
            # One budget for all of it: a receiver that answers a byte at a time does not get more.
            async with asyncio.timeout(self._timeout_s):
                target = urls.read(url, self._policy)
                status, retry_after_s = await self._post(target, await self._addresses(target), headers, body)
        except WebhookUrlInvalid as refused:
            unresolvable = refused.values["reason"] is UrlReason.UNRESOLVABLE
            error = DeliveryError.UNRESOLVABLE if unresolvable else DeliveryError.ADDRESS_REFUSED
        except (TimeoutError, httpx.TimeoutException):
            error = DeliveryError.TIMEOUT
        except httpx.ConnectError as failure:
            error = DeliveryError.TLS if _is_of_tls(failure) else DeliveryError.UNREACHABLE
        except httpx.HTTPError:
            error = DeliveryError.PROTOCOL
        if status is not None and not LOWEST_SUCCESS <= status < LOWEST_REDIRECT:
            error = DeliveryError.ANSWERED
        took_s = time.monotonic() - began_s
        delivered("webhooks", _noted(status, error), seconds=took_s)
        return Outcome(status=status, latency_ms=int(took_s * 1_000), error=error, retry_after_s=retry_after_s)

    async def _addresses(self, target: Target) -> list[IPAddress]:
        """Return where to connect, everything checked. Raises WebhookUrlInvalid."""
        if target.address is not None:
            found = [target.address]
        else:
            try:
                found = [ipaddress.ip_address(each) for each in await self._resolve(target.host, target.port)]
            except (OSError, TimeoutError, ValueError):
                found = []
        if not found:
            raise WebhookUrlInvalid(reason=UrlReason.UNRESOLVABLE)
        for address in found:
            urls.check_reached(target, address, self._policy)
        return found[:ADDRESSES_TRIED_MAX]

    async def _post(
        self, target: Target, addresses: Sequence[IPAddress], headers: dict[str, str], body: bytes
    ) -> tuple[int, float | None]:
        """POST to the first address that takes a connection. Raises httpx.HTTPError."""
        *others, last = addresses
        for address in others:
            with contextlib.suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return await self._post_to(address, target, headers, body)
        return await self._post_to(last, target, headers, body)

    async def _post_to(
        self, address: IPAddress, target: Target, headers: dict[str, str], body: bytes
    ) -> tuple[int, float | None]:
        client = self._client()
        request = client.build_request(
            "POST",
            httpx.URL(scheme=target.scheme, host=str(address), port=target.port, raw_path=target.path.encode()),
            headers={**headers, "host": target.authority, "content-type": "application/json; charset=utf-8"},
            content=body,
            extensions={"sni_hostname": target.host},
        )
        response = await client.send(request, stream=True)
        try:
            await self._drain(response)
        finally:
            await response.aclose()
        return response.status_code, _retry_after_s(response.headers.get("retry-after", ""))

    async def _drain(self, response: httpx.Response) -> None:
        """Read a short answer to its end, since some receivers work on while they write; leave a long one."""
        size = 0
        with contextlib.suppress(httpx.HTTPError):
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > self._answer_size_max:
                    return


def _noted(status: int | None, error: DeliveryError | None) -> observing.Outcome:
    if error is None or error is DeliveryError.ANSWERED:
        failed = status is not None and status >= LOWEST_SERVER_ERROR
        return observing.Outcome.SERVER_ERROR if failed else observing.Outcome.ANSWERED
    if error is DeliveryError.TIMEOUT:
        return observing.Outcome.TIMEOUT
    unsent = error in (DeliveryError.ADDRESS_REFUSED, DeliveryError.UNRESOLVABLE)
    return observing.Outcome.ADDRESS_REFUSED if unsent else observing.Outcome.TRANSPORT_ERROR


def _is_of_tls(failure: httpx.ConnectError) -> bool:
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _retry_after_s(value: str) -> float | None:
    """Read seconds or an HTTP date (RFC 9110, section 10.2.3); None where it is neither."""
    if len(value) > RETRY_AFTER_LENGTH_MAX:
        return None
    if value.isascii() and value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment.tzinfo else None


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    # Reading the certificate authorities takes tens of milliseconds, so that is done once.
    return ssl.create_default_context()


@asynccontextmanager
async def sending(settings: Settings, *, resolve: Resolve | None = None) -> AsyncIterator[HttpWebhookSender]:
    """Hold what sending takes for as long as the context lasts.

    Most processes only check addresses, and authorities take a megabyte, so the client is opened by who sends first.
    """
    opened: list[httpx.AsyncClient] = []

    def client() -> httpx.AsyncClient:
        if not opened:
            opened.append(_client(settings))
        return opened[0]

    try:
        yield HttpWebhookSender(
            client,
            policy=UrlPolicy.of(settings),
            resolve=resolve or Resolver(),
            timeout_s=settings.webhook_timeout_s,
            answer_size_max=settings.webhook_answer_size_max_bytes,
        )
    finally:
        for each in opened:
            await each.aclose()


def _client(settings: Settings) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(settings.webhook_timeout_s, connect=CONNECT_TIMEOUT_S),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        headers={"user-agent": USER_AGENT, "accept": "*/*", "accept-encoding": "identity"},
        verify=_tls(),
    )
