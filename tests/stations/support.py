"""Stations and prices that tests start from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import strawberry

from domain.pricing.operations import load_prices, load_zones
from domain.pricing.records import PriceRecord, ZoneRecord
from domain.stations import operations
from domain.stations.records import StationRecord, source_key_of
from kernel.states import Product

NOW = datetime(2026, 5, 1, 4, tzinfo=UTC)

Ask = Callable[..., Awaitable[strawberry.types.ExecutionResult]]


def station_record(number: int, *, latitude: float, longitude: float, province: str = "上海市") -> StationRecord:
    name = f"中国石化({number}号站)"
    return StationRecord(
        source_key=source_key_of(feature_id=str(number), name=name, address=""),
        name=name,
        address=f"示例路{number}号",
        province=province,
        city="",
        district="",
        latitude=latitude,
        longitude=longitude,
    )


async def create_stations(*records: StationRecord, now: datetime = NOW) -> None:
    await operations.load(records=records, now=now)


async def create_prices(prices: dict[tuple[str, str], dict[Product, int]], *, at: datetime = NOW) -> None:
    """Load prices in thousandths by (province code, name); each province is one zone."""
    await load_zones(zones=[ZoneRecord(code, name, "default", "默认价区") for code, name in prices])
    records = [
        PriceRecord(code, "default", product, milliyuan, "发改委", "https://example.com/notice")
        for (code, _), of_province in prices.items()
        for product, milliyuan in of_province.items()
    ]
    await load_prices(prices=records, effective_from=at, clock=lambda: NOW)
