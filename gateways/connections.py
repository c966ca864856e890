"""The HTTP clients by which third parties are reached."""

from __future__ import annotations

from functools import lru_cache
from ssl import SSLContext

import httpx

from gateways.guard import Guard, GuardedTransport
from kernel.settings import Settings

CONNECTIONS_MAX = 64
IDLE_CONNECTIONS_MAX = 16
IDLE_CONNECTION_LIFETIME_S = 30.0
LIMITS = httpx.Limits(
    max_connections=CONNECTIONS_MAX,
    max_keepalive_connections=IDLE_CONNECTIONS_MAX,
    keepalive_expiry=IDLE_CONNECTION_LIFETIME_S,
)


@lru_cache(maxsize=1)
def _tls() -> SSLContext:
    # Reading the certificate authorities takes tens of milliseconds, so that is done once.
    return httpx.create_ssl_context(trust_env=False)


def open_client_of(url: str, settings: Settings, *, guard: Guard | None = None) -> httpx.AsyncClient:
    """Return a client that ignores the machine's proxy settings, follows nothing and asks for uncompressed answers.

    What it sends goes through the guard of the third party, where one is given.
    """
    transport = httpx.AsyncHTTPTransport(verify=_tls(), trust_env=False, limits=LIMITS)
    return httpx.AsyncClient(
        base_url=url,
        headers={"User-Agent": "youka", "Accept-Encoding": "identity"},
        timeout=settings.third_party_timeout_s,
        transport=GuardedTransport(guard, transport) if guard else transport,
        trust_env=False,
    )
