"""The process's metrics, for Prometheus. They tell of the business, so not everybody may read them."""

from __future__ import annotations

import hmac
import ipaddress

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kernel.settings import Settings


def routes(settings: Settings) -> list[Route]:
    """Return `/metrics`, or nothing in production where no token is set."""
    token = settings.metrics_token.get_secret_value()
    if not token and not settings.development:
        return []

    async def metrics(request: Request) -> Response:
        if not (_bears(request, token) if token else _is_near(request)):
            return Response(status_code=401, headers={"www-authenticate": "Bearer"})
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/metrics", metrics)]


def _bears(request: Request, token: str) -> bool:
    given = request.headers.get("authorization", "").encode()
    return hmac.compare_digest(given, f"Bearer {token}".encode())


def _is_near(request: Request) -> bool:
    """Whether somebody on this machine asks, and no proxy for somebody else."""
    try:
        near = request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        near = False
    return near and not {"forwarded", "x-forwarded-for"} & set(request.headers.keys())
