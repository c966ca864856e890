"""One question to a third party and its answer, within one budget of time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx
import stamina

from gateways.guard import DEADLINE, CallRefused
from gateways.signing import SigningFailed

ATTEMPTS_MAX = 3
RETRY_WAIT_INITIAL_S = 0.05
RETRY_WAIT_MAX_S = 0.4
RETRY_JITTER_S = 0.05
ANSWER_SIZE_MAX_BYTES = 1024 * 1024
# A try ends a little before the budget, so that it is known to have been late, and not to have been given up.
DEADLINE_SHARE = 0.95

# Neither a success nor a refusal: the request was not judged, so asking again is right.
UNJUDGED_STATUSES = frozenset({408, 425, 429})
LOWEST_SERVER_ERROR = 500
LOWEST_CLIENT_ERROR = 400
LOWEST_REDIRECT = 300


class Unsettled(Exception):
    """No answer, or one that says nothing about what was asked. `may_retry` says that another try may help at once."""

    def __init__(self, reason: str, *, may_retry: bool = False) -> None:
        self.reason, self.may_retry = reason, may_retry
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx or 4xx answer with the exact bytes of its body, and what was sent. Nothing of it has been verified."""

    sent: httpx.Headers
    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def refused(self) -> bool:
        return self.status >= LOWEST_CLIENT_ERROR


def _may_retry(error: Exception) -> bool:
    return isinstance(error, Unsettled) and error.may_retry


async def exchange(
    client: httpx.AsyncClient,
    build: Callable[[], httpx.Request | Awaitable[httpx.Request]],
    *,
    budget_s: float,
    attempts_max: int = ATTEMPTS_MAX,
) -> Answer:
    """Send the request until it is answered; every try is built, and thereby signed, anew.

    The budget covers all tries. A timeout spends it and is never tried again; a lost connection, a 5xx and a 429 are,
    so the request must be safe to repeat unless `attempts_max` is 1. What cannot be signed is not sent.
    Raises Unsettled.
    """
    deadline_s = asyncio.get_running_loop().time() + budget_s * DEADLINE_SHARE
    try:
        async with asyncio.timeout(budget_s):
            async for attempt in stamina.retry_context(
                on=_may_retry,
                attempts=attempts_max,
                timeout=budget_s,
                wait_initial=RETRY_WAIT_INITIAL_S,
                wait_max=RETRY_WAIT_MAX_S,
                wait_jitter=RETRY_JITTER_S,
            ):
                with attempt:
                    built = build()
                    request = await built if inspect.isawaitable(built) else built
                    return await _send(client, request, deadline_s)
    except TimeoutError:
        raise Unsettled("timeout") from None
    except SigningFailed as error:
        raise Unsettled(str(error)) from None
    raise AssertionError("a retry context ends with a result or an error")


async def _send(client: httpx.AsyncClient, request: httpx.Request, deadline_s: float) -> Answer:
    request.extensions[DEADLINE] = deadline_s
    # httpx's errors carry the request, and with it addresses that hold secrets, so only their kind goes on.
    try:
        response = await client.send(request, stream=True)
        try:
            body = await _read(response)
        finally:
            await response.aclose()
    except (httpx.TimeoutException, CallRefused) as error:
        # What the guard refuses now it would refuse again at once.
        raise Unsettled(type(error).__name__) from None
    except httpx.HTTPError as error:
        raise Unsettled(type(error).__name__, may_retry=True) from None
    status = response.status_code
    if status >= LOWEST_SERVER_ERROR or status in UNJUDGED_STATUSES:
        raise Unsettled(f"status {status}", may_retry=True)
    if LOWEST_REDIRECT <= status < LOWEST_CLIENT_ERROR:
        raise Unsettled(f"status {status}")
    return Answer(request.headers, status, response.headers, body)


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > ANSWER_SIZE_MAX_BYTES:
            raise Unsettled("the answer is too large")
    return bytes(body)
