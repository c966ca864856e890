"""What stands around every call to a third party: a deadline, a circuit breaker, a bound on calls at a time, and notes.

It is a transport, so gateways ask as they would without it; what it refuses is an httpx.TransportError like any other
failure to reach somebody. It never sends anything twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import httpx
from purgatory.domain.model import HALF_OPENED, OpenedState
from purgatory.service._async.circuitbreaker import AsyncCircuitBreaker, AsyncCircuitBreakerFactory

from domain.switches.ports import Degraded
from gateways.breakers import Breakers, keeping_breakers
from gateways.observing import BREAKER_OPEN, ObservedCall, Outcome, not_sent
from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.settings import Settings

# A request's extension: until when, on the loop's clock, whoever asks will wait.
DEADLINE = "youka_deadline_s"
LOWEST_SERVER_ERROR = 500
# Of a third party that nobody has called for so long, nobody knows how it is.
DEGRADED_KEPT_S = 60.0

log = get_logger(__name__)


class CallRefused(httpx.TransportError):
    """The call was not sent."""


class BreakerOpen(CallRefused):
    """The third party has failed too often; nobody calls it for a while."""


class NoPlace(CallRefused):
    """As many calls as there may be are under way, and none ended in time."""


class PartyFailed(Exception):
    """What the breaker is told of a call that failed."""


class Guard:
    """Around the calls to one third party."""

    def __init__(self, party: str, breakers: Breakers, settings: Settings) -> None:
        self.party = party
        self._breakers = AsyncCircuitBreakerFactory(uow=breakers)
        self._places = asyncio.Semaphore(settings.third_party_calls_max)
        self._wait_s = settings.third_party_place_wait_ms / 1_000
        self._timeout_s = settings.third_party_timeout_s
        self._degraded_since: datetime | None = None
        self._seen_at_s = 0.0

    @property
    def degraded_since(self) -> datetime | None:
        """Since when the breaker has been open, as far as this process knows from its calls of the last minute."""
        known = asyncio.get_running_loop().time() - self._seen_at_s < DEGRADED_KEPT_S
        return self._degraded_since if known else None

    async def begin(self, request: httpx.Request) -> GuardedCall:
        """Let one call through. Raises BreakerOpen or NoPlace."""
        deadline_s = request.extensions.get(DEADLINE) or asyncio.get_running_loop().time() + self._timeout_s
        breaker = await self._breakers.get_breaker(self.party)
        try:
            await breaker.__aenter__()
        except OpenedState:
            self.note(open=True)
            BREAKER_OPEN.labels(self.party).set(1)
            not_sent(self.party, Outcome.BREAKER_OPEN)
            raise BreakerOpen(self.party) from None
        probing = breaker.context.state == HALF_OPENED
        BREAKER_OPEN.labels(self.party).set(0.5 if probing else 0)
        try:
            async with asyncio.timeout(self._wait_s):
                await self._places.acquire()
        except TimeoutError:
            if probing:
                # The one who was to try cannot, so the next one is let through after another pause.
                await breaker.__aexit__(PartyFailed, PartyFailed(), None)
            not_sent(self.party, Outcome.NO_PLACE)
            raise NoPlace(self.party) from None
        return GuardedCall(self, breaker, request.method, deadline_s)

    def leave(self) -> None:
        self._places.release()

    def note(self, *, open: bool) -> None:  # noqa: A002 -- the breaker's own word.
        """Remember how the third party is, and tell where that has changed."""
        self._seen_at_s = asyncio.get_running_loop().time()
        if open == (self._degraded_since is not None):
            return
        self._degraded_since = utc_now() if open else None
        if open:
            log.warning("third_party.degraded", party=self.party)
        else:
            log.info("third_party.recovered", party=self.party)


class GuardedCall:
    """One call that was let through, until its answer has been read."""

    def __init__(self, guard: Guard, breaker: AsyncCircuitBreaker, method: str, deadline_s: float) -> None:
        self._guard, self._breaker, self.deadline_s = guard, breaker, deadline_s
        self._observed = ObservedCall(guard.party, method)
        self._ended = False

    async def answered(self, status: int) -> None:
        if status < LOWEST_SERVER_ERROR:
            await self._end(Outcome.ANSWERED, status=status)
        else:
            await self._end(Outcome.SERVER_ERROR, status=status)

    async def failed(self, error: BaseException) -> None:
        # On a busy loop whoever asked may give up in the same moment; the third party was late all the same.
        late = asyncio.get_running_loop().time() >= self.deadline_s
        if late or isinstance(error, httpx.TimeoutException):
            await self._end(Outcome.TIMEOUT)
        elif isinstance(error, Exception):
            await self._end(Outcome.TRANSPORT_ERROR)
        else:
            await self._end(Outcome.GIVEN_UP)

    async def _end(self, outcome: Outcome, *, status: int | None = None) -> None:
        if self._ended:
            return
        self._ended = True
        self._guard.leave()
        self._observed.end(outcome, status=status)
        # That somebody did not wait says nothing of the third party; the right to try ends by itself.
        if outcome is Outcome.GIVEN_UP:
            return
        if outcome is Outcome.ANSWERED:
            await self._breaker.__aexit__(None, None, None)
            self._guard.note(open=False)
        else:
            await self._breaker.__aexit__(PartyFailed, PartyFailed(), None)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Sends by another transport what the guard lets through."""

    def __init__(self, guard: Guard, inner: httpx.AsyncBaseTransport) -> None:
        self._guard, self._inner = guard, inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        call = await self._guard.begin(request)
        try:
            async with _until(call.deadline_s):
                response = await self._inner.handle_async_request(request)
        except BaseException as error:
            await call.failed(error)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=GuardedStream(response.stream, call, response.status_code),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class GuardedStream(httpx.AsyncByteStream):
    """The answer's body: the call is not over before it is read."""

    def __init__(self, inner: httpx.AsyncByteStream, call: GuardedCall, status: int) -> None:
        self._inner, self._call, self._status = inner, call, status

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._inner)
        while True:
            try:
                async with _until(self._call.deadline_s):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            except BaseException as error:
                await self._call.failed(error)
                raise
            yield chunk

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            await self._call.answered(self._status)


class Guards:
    """The guards of this process's third parties, one for each, whatever the number of clients."""

    def __init__(self, breakers: Breakers, settings: Settings) -> None:
        self._breakers, self._settings = breakers, settings
        self._guards: dict[str, Guard] = {}

    def of(self, party: str) -> Guard:
        if party not in self._guards:
            self._guards[party] = Guard(party, self._breakers, self._settings)
        return self._guards[party]

    def degraded(self) -> Sequence[Degraded]:
        """Return the third parties that are not called now."""
        since = ((each.party, each.degraded_since) for each in self._guards.values())
        return [Degraded(party, moment) for party, moment in since if moment is not None]


@asynccontextmanager
async def guarding(settings: Settings) -> AsyncIterator[Guards]:
    async with keeping_breakers(settings) as breakers:
        yield Guards(breakers, settings)


@asynccontextmanager
async def _until(deadline_s: float) -> AsyncIterator[None]:
    """Raises httpx.ReadTimeout when the deadline, on the loop's clock, has passed."""
    try:
        async with asyncio.timeout_at(deadline_s):
            yield
    except TimeoutError:
        raise httpx.ReadTimeout("the deadline has passed") from None
