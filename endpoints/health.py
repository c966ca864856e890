"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tortoise import Tortoise

from kernel.logs import get_logger

log = get_logger(__name__)

READY_WITHIN_S = 2.0


async def live(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def ready(_request: Request) -> Response:
    """Answer 200 where the database answers, else 503."""
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await Tortoise.get_connection("default").execute_query("SELECT 1")
    except Exception as error:
        # A database that fails over, starts up or has no connection left says so in its driver's own errors.
        log.warning("health.database_unavailable", error=type(error).__name__)
        return JSONResponse({"status": "database unavailable"}, status_code=503)
    return JSONResponse({"status": "ok"})


routes = [Route("/healthz", live), Route("/readyz", ready)]
