"""Loading stations and official prices: the commands, and the demo data of a first start."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

from domain.offers import operations as offers
from domain.offers import queries as offer_queries
from domain.pricing import queries as pricing
from domain.stations import operations as stations
from domain.stations import queries as known_stations
from jobs.commands import on_database
from jobs.import_prices import import_prices, import_regions
from jobs.import_reader import Malformed, RecordReader, Unreadable
from jobs.import_report import Report
from jobs.import_stations import import_stations, station_of
from jobs.printing import printable
from kernel.clock import utc_now

DEMO_DATA = Path(__file__).parent / "demo_data"
DEMO_OFFER_LIFETIME = timedelta(days=365)

LOADED, REFUSED, UNFINISHED = 0, 1, 2

Clock = Callable[[], datetime]


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the commands; each sets `run`, which takes the arguments and returns the exit code.

    The code is 0 where everything was loaded, 1 where records were refused, 2 where a file could not be read to its end
    or the database cannot be used.
    """
    command = subparsers.add_parser("import-stations", help="load filling stations from a GeoJSON file (RFC 7946)")
    command.add_argument("file", type=Path, help="a FeatureCollection of Points")
    command.set_defaults(run=lambda arguments: on_database(lambda: load_stations(arguments.file)))

    command = subparsers.add_parser("import-prices", help="load official prices by zone from a price notice's JSON")
    command.add_argument("file", type=Path, help="the price notice")
    command.add_argument("--regions", type=Path, metavar="FILE", help="which region lies in which zone")
    command.set_defaults(run=lambda arguments: on_database(lambda: load_prices(arguments.file, arguments.regions)))

    command = subparsers.add_parser("remove-demo-stations", help="delete the invented stations of the first start")
    command.set_defaults(run=lambda _arguments: on_database(remove_demo_stations))


async def load_stations(path: Path, *, clock: Clock = utc_now) -> int:
    """Import stations into the open database, tell on standard output what became of them, return the exit code."""
    code = await _load(path, lambda report: import_stations(path, report=report, clock=clock))
    invented = await known_stations.count_of(source_keys=_demo_keys())
    if invented:
        print(f"{invented} invented demo stations are listed too; `python -m jobs remove-demo-stations` deletes them")
    return code


async def load_prices(path: Path, regions: Path | None = None, *, clock: Clock = utc_now) -> int:
    """Import prices, then regions, then find the zones of all stations again; return the exit code."""
    code = await _load(path, lambda report: import_prices(path, report=report, clock=clock))
    if regions:
        code = max(code, await _load(regions, lambda report: import_regions(regions, report=report)))
    moved = await stations.assign_zones(now=clock())
    print(f"stations: {moved} in another zone now")
    return code


async def load_demo_data(*, clock: Clock = utc_now) -> bool:
    """Load the product's own small data set where there are no stations yet; return whether it did.

    Prices that are there already are real ones, and stay.
    """
    if await known_stations.any_station():
        return False
    report = Report("demo data")
    if not await pricing.any_zone():
        for path in sorted(DEMO_DATA.glob("prices*.json")):
            await import_prices(path, report=report, clock=clock)
        await import_regions(DEMO_DATA / "regions.json", report=report)
    await import_stations(DEMO_DATA / "stations.geojson", report=report, clock=clock)
    assert not report.refused, report.refusals
    await _offer_something(clock())
    return True


async def _offer_something(now: datetime) -> None:
    if await offer_queries.any_offer():
        return
    await offers.create(
        code="DEMO-500",
        title="充500元立减10元",
        brand=None,
        amount_fen=50_000,
        price_fen=49_000,
        stock=1_000,
        per_user_max=1,
        starts_at=now,
        ends_at=now + DEMO_OFFER_LIFETIME,
        now=now,
    )


async def remove_demo_stations(*, clock: Clock = utc_now) -> int:
    """Delete the stations of the demo data from the open database; return the exit code."""
    removed = await stations.remove(source_keys=_demo_keys(), now=clock())
    print(f"{removed} demo stations removed")
    return LOADED


def _demo_keys() -> list[str]:
    return [station_of(record).source_key for record in RecordReader(DEMO_DATA / "stations.geojson", "features")]


async def _load(path: Path, work: Callable[[Report], Awaitable[None]]) -> int:
    report, started, failure = Report(printable(path.name)), time.monotonic(), ""
    try:
        await work(report)
    except (Malformed, Unreadable) as error:
        failure = printable(error.message("en"))
    for line in report.lines():
        print(line)
    print(f"  {time.monotonic() - started:.1f} s")
    if failure:
        print(failure, file=sys.stderr)
        return UNFINISHED
    return REFUSED if report.refused else LOADED
