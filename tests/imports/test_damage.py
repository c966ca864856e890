"""Whatever a file holds: nothing but refusals, the good records are loaded, and the database stays readable."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.pricing.records import Change
from domain.stations.index import StationIndex
from jobs.import_prices import import_prices, import_regions
from jobs.import_reader import Malformed
from jobs.import_report import Report
from jobs.import_stations import import_stations
from models.pricing import Price
from models.stations import Station
from tests.imports.support import collection, feature, notice, province, write, zone

pytestmark = pytest.mark.usefixtures("database")

NOW = datetime(2026, 5, 1, 4, tzinfo=UTC)
ODDITIES: list[Callable[[random.Random], Any]] = [
    lambda _: None,
    lambda _: True,
    lambda _: {},
    lambda _: [],
    lambda chance: chance.choice([0, -1, 10**40, 2**63, -(2**63), 1e308, -1e-308, 0.1 + 0.2]),
    lambda chance: chance.choice(
        ["", " ", "\0", "\ud800", "\ufffe", "a\u202eb", "'; DROP TABLE station; --", "%s{}\\"]
    ),
    lambda chance: "字" * chance.choice([1, 32, 33, 64, 65, 128, 129, 256, 257, 5_000]),
    lambda chance: [None] * chance.randrange(4),
    lambda chance: {"type": chance.choice(["Point", "Feature"]), "coordinates": [chance.uniform(-200, 200)] * 2},
]


def damaged(value: Any, chance: random.Random) -> Any:
    """Replace, drop or add one member somewhere inside."""
    value = copy.deepcopy(value)
    place = value
    while True:
        keys: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return value
        key = chance.choice(keys)
        if isinstance(place[key], dict | list) and chance.random() < 0.7:
            place = place[key]
            continue
        if chance.random() < 0.15:
            del place[key]
        else:
            place[key] = chance.choice(ODDITIES)(chance)
        return value


@pytest.mark.parametrize("seed", range(3))
async def test_damaged_stations(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    bad = [damaged(feature(1_000 + number), chance) for number in range(300)]
    mixed = [one for number, other in enumerate(bad) for one in (feature(number), other)]
    report = Report("stations")
    # json.dumps writes lone surrogates as escapes, as a careless exporter does.
    text = collection(*(json.dumps(one) for one in mixed))
    await import_stations(write(tmp_path, text), report=report, clock=lambda: NOW)
    names = {station.name for station in await Station.all()}
    assert {f"中国石化({number}号站)" for number in range(300)} <= names
    assert sum(report.counts["stations"].values()) == 600
    assert report.counts["stations"][Change.CREATED] == len(await StationIndex().current()) >= 300
    again = Report("stations")
    await import_stations(write(tmp_path, text), report=again, clock=lambda: NOW)
    assert again.counts["stations"][Change.CREATED] == again.counts["stations"][Change.UPDATED] == 0


@pytest.mark.parametrize("seed", range(3))
async def test_damaged_prices_and_regions(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    good = [province(f"{110_000 + number}", "省", zone(p92=8.46, p0=8.1)) for number in range(80)]
    bad = [damaged(province(f"{510_000 + number}", "省", zone(p92=8.46, p0=8.1)), chance) for number in range(150)]
    report = Report("prices")
    await import_prices(write(tmp_path, notice(*bad[:75], *good, *bad[75:])), report=report, clock=lambda: NOW)
    rows = await Price.all().prefetch_related("zone")
    found = Counter(row.zone.province_code for row in rows)
    assert all(found[one["province_code"]] == 2 for one in good)
    assert report.counts["prices"][Change.CREATED] == len(rows)

    regions = [
        {"region": f"省{number}", "province_code": f"{110_000 + number % 80}", "zone_code": "default"}
        for number in range(200)
    ]
    items = [damaged(one, chance) if number % 2 else one for number, one in enumerate(regions)]
    await import_regions(write(tmp_path, json.dumps({"items": items})), report=report)
    assert sum(report.counts["regions"].values()) == 200
    assert report.counts["regions"][Change.CREATED] >= 100


@pytest.mark.parametrize("seed", range(5))
async def test_damaged_bytes(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    text = bytearray(collection(*(feature(number) for number in range(40))).encode())
    for _ in range(chance.randrange(1, 6)):
        text[chance.randrange(len(text))] = chance.randrange(256)
    report = Report("stations")
    try:
        await import_stations(write(tmp_path, bytes(text)), report=report, clock=lambda: NOW)
    except Malformed as malformed:
        number = malformed.values["record"]
    else:
        number = 41
    assert sum(report.counts.get("stations", Counter()).values()) == number - 1
