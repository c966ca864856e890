"""The index follows the database, whoever writes to it, and never answers with what was."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from domain.events.streams import STATIONS
from domain.stations import index as index_module
from domain.stations import operations
from domain.stations.geo import Location
from domain.stations.index import StationIndex
from models.events import Event, EventStream
from models.stations import Station
from tests.stations.support import NOW, create_stations, station_record
from tests.subscriptions.support import eventually

pytestmark = pytest.mark.usefixtures("database")

REPOSITORY = Path(__file__).parents[2]
SQUARE = Location(31.2304, 121.4737)


async def near_the_square(index: StationIndex) -> list[str]:
    found = (await index.current()).nearest(SQUARE, radius_m=5_000, limit=50)
    rows = {row.id: row.name for row in await Station.all()}
    return [rows[one.station_id] for one in found]


async def test_it_loads_when_it_is_first_asked(index: StationIndex) -> None:
    await create_stations(
        station_record(1, latitude=31.24, longitude=121.4737),
        station_record(2, latitude=31.231, longitude=121.4737),
        station_record(3, latitude=39.9, longitude=116.4),
    )
    assert await near_the_square(index) == ["中国石化(2号站)", "中国石化(1号站)"]


async def test_it_is_empty_where_nothing_was_imported(index: StationIndex) -> None:
    assert await near_the_square(index) == []


async def test_it_follows_creations_moves_and_deletions(index: StationIndex) -> None:
    first, second = (station_record(number, latitude=31.23, longitude=121.47 + number / 1000) for number in (1, 2))
    await create_stations(first)
    assert await near_the_square(index) == ["中国石化(1号站)"]
    await create_stations(second)
    assert await near_the_square(index) == ["中国石化(2号站)", "中国石化(1号站)"]
    await create_stations(station_record(2, latitude=39.9, longitude=116.4))
    assert await near_the_square(index) == ["中国石化(1号站)"]
    assert await operations.remove(source_keys=[first.source_key], now=NOW) == 1
    assert await near_the_square(index) == []


async def test_catching_up_reads_only_what_changed(index: StationIndex, statements: list[str]) -> None:
    await create_stations(*(station_record(number, latitude=31.23, longitude=121.47) for number in range(30)))
    await index.current()
    statements.clear()
    await index.current()
    assert len(statements) == 1
    assert "event_stream" in statements[0]

    await create_stations(station_record(7, latitude=31.24, longitude=121.47))
    statements.clear()
    tree = await index.current()
    assert len(statements) == 3
    assert len(tree) == 30


@pytest.mark.parametrize("limit", ["EVENTS_PER_CATCH_UP_MAX", "CHANGES_PER_CATCH_UP_MAX"])
async def test_it_reads_everything_anew_after_too_many_changes(
    index: StationIndex, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(index_module, limit, 2)
    await create_stations(station_record(0, latitude=31.23, longitude=121.47))
    before = await index.current()
    for number in range(1, 4):
        await create_stations(station_record(number, latitude=31.23, longitude=121.47))
    after = await index.current()
    assert after is not before
    assert len(after) == 4
    # Whoever still searches the old tree may finish.
    assert len(before.nearest(SQUARE, radius_m=5_000, limit=9)) == 1


async def test_a_load_reads_every_batch(index: StationIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "STATIONS_PER_BATCH_MAX", 7)
    await create_stations(*(station_record(number, latitude=31.23, longitude=121.47) for number in range(30)))
    assert len(await index.current()) == 30


async def test_a_restored_database_is_read_anew(index: StationIndex) -> None:
    await create_stations(station_record(1, latitude=31.23, longitude=121.47))
    await create_stations(station_record(2, latitude=31.23, longitude=121.47))
    assert len(await index.current()) == 2
    await Event.filter(stream=STATIONS, position=2).delete()
    await EventStream.filter(name=STATIONS).update(position=1)
    await Station.filter(name="中国石化(2号站)").delete()
    assert len(await index.current()) == 1


async def test_many_callers_share_one_refresh_and_none_is_older_than_its_question(
    index: StationIndex, statements: list[str]
) -> None:
    await create_stations(station_record(1, latitude=31.23, longitude=121.47))
    statements.clear()
    first = [asyncio.create_task(index.current()) for _ in range(25)]
    await eventually(lambda: statements)
    trees = await asyncio.gather(*first, *(index.current() for _ in range(25)))
    assert {len(tree) for tree in trees} == {1}
    # One load, and one look at the head for those who came while it ran.
    assert len([sent for sent in statements if "event_stream" in sent]) == 2


async def test_a_cancelled_caller_leaves_the_index_whole(index: StationIndex) -> None:
    await create_stations(*(station_record(number, latitude=31.23, longitude=121.47) for number in range(50)))
    for _ in range(20):
        caller = asyncio.create_task(index.current())
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
    assert len(await index.current()) == 50


async def test_an_import_by_another_process_is_seen_at_once(index: StationIndex, database: str, tmp_path: Path) -> None:
    assert len(await index.current()) == 0
    feature = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [121.4737, 31.2304]},
        "properties": {"name": "中国石化(人民广场站)", "address": "人民大道1号"},
    }
    path = tmp_path / "one.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "jobs", "import-stations", str(path)],
            cwd=REPOSITORY,
            env={**os.environ, "DATABASE_URL": database},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    done = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stderr
    assert "1 created, 0 updated, 0 unchanged, 0 refused" in done.stdout
    assert await near_the_square(index) == ["中国石化(人民广场站)"]
