"""Silent third parties without the waiting: a call that the sandbox does not answer ends at once as one that was late.

So a test of what follows a silence needs no short timeout, and a busy machine makes no other call late.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import httpx
import pytest

from domain.orders.ports import ThirdParties
from gateways import connections
from gateways.assembly import third_parties
from gateways.guard import Guard, GuardedTransport
from kernel.settings import Settings
from sandbox.answers import TELL_SILENCE

# A machine that is busy must not make a late answer look like none.
PATIENCE_S = 30.0


class ToldOfSilence(httpx.AsyncBaseTransport):
    """Sends by another transport, and raises httpx.ReadTimeout where the sandbox says that it keeps silent."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers[TELL_SILENCE] = "1"
        response = await self._inner.handle_async_request(request)
        if TELL_SILENCE in response.headers:
            await response.aread()
            await response.aclose()
            raise httpx.ReadTimeout("the sandbox keeps silent", request=request)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


@contextmanager
def telling_silence() -> Iterator[None]:
    """Third parties that are opened within need not wait for what the sandbox does not answer."""

    def guarded(guard: Guard, inner: httpx.AsyncBaseTransport) -> GuardedTransport:
        return GuardedTransport(guard, ToldOfSilence(inner))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "GuardedTransport", guarded)
        yield


@asynccontextmanager
async def patient_third_parties(settings: Settings) -> AsyncIterator[ThirdParties]:
    """Open third parties that are waited for as long as it takes, and that tell of their silence."""
    async with AsyncExitStack() as stack:
        with telling_silence():
            patient = settings.model_copy(update={"third_party_timeout_s": PATIENCE_S})
            parties = await stack.enter_async_context(third_parties(patient))
        yield parties
