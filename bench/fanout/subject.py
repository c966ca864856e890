"""Youka as a server that is measured: the application as it is, and a route by which the benchmark changes a price."""

from __future__ import annotations

import sys
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

import app
from bench.fanout.wire import FIRST_MILLIYUAN, PUBLISH_PATH, READY_PATH, SOURCE, ZONES
from domain.pricing.operations import load_prices, load_zones
from domain.pricing.records import PriceRecord, ZoneRecord
from kernel.clock import utc_now
from kernel.states import Product

PROVINCE = "310000"
# The first price of a zone has no price before it, and is written so that every measured one has.
LONG_AGO = timedelta(days=1)


def record(number: int, milliyuan: int) -> PriceRecord:
    return PriceRecord(
        province_code=PROVINCE,
        zone_code=f"bench-{number % ZONES}",
        product=Product.GASOLINE_92,
        milliyuan=milliyuan,
        source=SOURCE,
        source_url="https://example.com/prices",
    )


async def ready(_request: Request) -> Response:
    """Make the zones and their first prices, once."""
    zones = [
        ZoneRecord(province_code=PROVINCE, province_name="上海市", code=f"bench-{number}", name=f"{number}价区")
        for number in range(ZONES)
    ]
    await load_zones(zones=zones)
    first = [record(number, FIRST_MILLIYUAN - 1) for number in range(ZONES)]
    await load_prices(prices=first, effective_from=utc_now() - LONG_AGO, clock=utc_now)
    return PlainTextResponse("ready")


async def publish(request: Request) -> Response:
    """Change one price by the product's own operation: the row, its event, and all that follows from the commit."""
    number = int((await request.json())["number"])
    await load_prices(prices=[record(number, FIRST_MILLIYUAN + number)], effective_from=utc_now(), clock=utc_now)
    return JSONResponse({"number": number})


def main() -> int:
    app.app.router.routes.append(Route(READY_PATH, ready))
    app.app.router.routes.append(Route(PUBLISH_PATH, publish, methods=["POST"]))
    return app.main()


if __name__ == "__main__":
    sys.exit(main())
