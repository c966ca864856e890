"""The commands, their exit codes, and the product's own data."""

from __future__ import annotations

import argparse
import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.events.streams import PRICES
from domain.pricing import queries as pricing
from domain.stations import queries as stations
from domain.stations.geo import Location
from domain.stations.index import StationIndex
from jobs import commands, import_prices, imports
from jobs.imports import load_demo_data, load_prices, load_stations, remove_demo_stations
from jobs.printing import printable
from kernel.settings import Settings
from kernel.states import Product, StationBrand
from models.events import Event
from models.pricing import Price
from models.stations import Station
from tests.imports.support import REPOSITORY, collection, feature, notice, province, write, zone

NOW = datetime(2026, 5, 1, 4, tzinfo=UTC)
SQUARE = Location(31.2304, 121.4737)


@pytest.mark.usefixtures("database")
class TestExitCodes:
    async def test_it_is_0_where_everything_was_loaded(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert await load_stations(write(tmp_path, collection(feature()))) == 0
        shown = capsys.readouterr()
        assert "file.json\n  stations: 1 created, 0 updated, 0 unchanged, 0 refused\n" in shown.out
        assert shown.err == ""

    async def test_it_is_1_where_a_record_was_refused(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert await load_stations(write(tmp_path, collection(feature(), "{}"))) == 1
        assert 'refused record 2 (line 4): "type" is not "Feature"' in capsys.readouterr().out

    async def test_it_is_2_where_the_file_breaks_off_and_names_the_record(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = collection(feature(1), feature(2))
        assert await load_stations(write(tmp_path, text[: text.index("2号站")])) == 2
        shown = capsys.readouterr()
        assert "1 created" in shown.out
        assert shown.err.startswith("file.json: cannot be read at record 2, line 4: not valid JSON")
        assert await Station.all().count() == 1

    async def test_it_is_2_where_there_is_no_file(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert await load_stations(tmp_path / "none.geojson") == 2
        assert capsys.readouterr().err == "none.geojson: the file cannot be read: there is no such file\n"
        assert await load_prices(tmp_path / "none.json") == 2

    async def test_the_worst_of_two_files_counts(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        prices = write(tmp_path, notice(province("310000", "上海市", zone(p92=8.46))))
        assert await load_prices(prices, write(tmp_path, '{"items": [{}]}', "regions.json")) == 1
        assert await load_prices(prices, tmp_path / "none.json") == 2
        assert capsys.readouterr().out.count("in another zone now") == 2


@pytest.mark.usefixtures("database")
class TestDemoData:
    async def test_it_loads_once(self) -> None:
        assert await load_demo_data() is True
        count, events = await Station.all().count(), await Event.all().count()
        assert count > 40
        assert await load_demo_data() is False
        assert (await Station.all().count(), await Event.all().count()) == (count, events)

    async def test_it_has_stations_prices_and_history_at_peoples_square(self) -> None:
        await load_demo_data(clock=lambda: NOW)
        found = await stations.nearest(
            index=StationIndex(),
            near=SQUARE,
            radius_m=5_000,
            radius_max_m=50_000,
            product=Product.GASOLINE_98,
            after=None,
            limit=100,
            now=NOW,
        )
        assert len(found) >= 10
        assert {StationBrand.SINOPEC, StationBrand.PETROCHINA} <= {one.station.brand for one in found}
        zone_id = found[0].station.zone_id
        assert zone_id is not None
        page = pricing.HistoryPage(zone_id, Product.GASOLINE_92, pricing.END_OF_TIME, 10)
        history = (await pricing.histories([page], now=NOW))[0]
        assert len(history) == 3
        assert len({price.milliyuan for price in history}) == 3
        assert {price.source for price in history} == {"Youka demo data"}
        assert await Station.filter(zone_id__isnull=True).count() == 0
        assert all("示例" in station.name for station in await Station.all())

    async def test_every_price_says_what_it_was_before(self) -> None:
        await load_demo_data(clock=lambda: NOW)
        payloads: Any = await Event.filter(stream=PRICES).values_list("payload", flat=True)
        assert {payload["previous_milliyuan"] is None for payload in payloads} == {True, False}

    async def test_real_prices_stay(self, tmp_path: Path) -> None:
        moment = "2026-04-22T00:00:00+08:00"
        text = notice(province("310000", "上海市", zone(p92=8.42)), effective_from=moment)
        assert await load_prices(write(tmp_path, text)) == 0
        assert await load_demo_data() is True
        assert [price.milliyuan_per_litre for price in await Price.all()] == [8420]
        assert await Station.all().count() > 40

    async def test_its_stations_give_way_to_real_ones(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        await load_demo_data()
        await load_stations(write(tmp_path, collection(feature())))
        assert "invented demo stations are listed too" in capsys.readouterr().out
        assert await remove_demo_stations() == 0
        assert [station.name for station in await Station.all()] == ["中国石化(1号站)"]
        await load_stations(write(tmp_path, collection(feature())))
        assert "invented" not in capsys.readouterr().out


class TestCommandLine:
    def test_the_commands_are_registered(self) -> None:
        parser = argparse.ArgumentParser()
        imports.add_commands(parser.add_subparsers(required=True))
        for arguments in (
            ["import-stations", "a.geojson"],
            ["import-prices", "a.json"],
            ["import-prices", "a.json", "--regions", "b.json"],
            ["remove-demo-stations"],
        ):
            assert callable(parser.parse_args(arguments).run)
        with pytest.raises(SystemExit):
            parser.parse_args(["import-stations"])

    def test_a_database_that_cannot_be_used_is_no_traceback(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], free_port: int
    ) -> None:
        address = f"postgres://nobody@127.0.0.1:{free_port}/none"
        monkeypatch.setattr(commands, "get_settings", lambda: Settings(database_url=address))
        path = write(tmp_path, collection(feature()))
        assert commands.on_database(lambda: load_stations(path)) == 2
        assert capsys.readouterr().err.startswith("the database cannot be used: ")

    def test_a_database_without_tables_says_how_to_make_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], postgres_server: str
    ) -> None:
        monkeypatch.setattr(commands, "get_settings", lambda: Settings(database_url=postgres_server))
        path = write(tmp_path, collection(feature()))
        assert commands.on_database(lambda: load_stations(path)) == 2
        assert "python -m models.database" in capsys.readouterr().err

    def test_a_bar_is_drawn_on_a_terminal_and_nowhere_else(self, tmp_path: Path, sqlite_url: str) -> None:
        path = write(tmp_path, collection(*(feature(number) for number in range(1_500))))
        command = [sys.executable, "-m", "jobs", "import-stations", str(path)]
        environment = {**os.environ, "DATABASE_URL": sqlite_url, "TERM": "xterm", "COLUMNS": "100"}
        quiet = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, timeout=60, check=True)
        assert quiet.stderr == b""
        assert b"1500 created" in quiet.stdout

        terminal, other_end = pty.openpty()
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=other_end)
        os.close(other_end)
        shown = b""
        try:
            while part := os.read(terminal, 65_536):
                shown += part
        except OSError:
            # Linux reports the end of a terminal as an error.
            pass
        os.close(terminal)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert b"1500 unchanged" in out
        assert b"file.json" in shown


def test_what_a_file_holds_does_not_steer_the_terminal() -> None:
    assert printable("a\x1b[31m\r\nb\u202ec") == "a\ufffd[31m\ufffd\ufffdb\ufffdc"
    assert printable("x" * 300) == "x" * 200 + "…"


def test_every_product_of_the_notices_is_known() -> None:
    assert set(import_prices.PRODUCTS) == {"89", "92", "95", "98", "0"}


def test_the_demo_data_is_marked_as_invented() -> None:
    for path in imports.DEMO_DATA.glob("prices*.json"):
        sources = [source for one in json.loads(path.read_text())["provinces"] for source in one["sources"]]
        assert {source["name"] for source in sources} == {"Youka demo data"}
