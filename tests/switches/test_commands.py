"""`python -m jobs switch` and `switches`, as an operator types them."""

from __future__ import annotations

import sys

import pytest

from domain.switches import queries
from jobs import __main__ as jobs
from kernel.settings import get_settings
from models.database import connected
from tests.services import run


@pytest.fixture(autouse=True)
def environment(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_url)
    get_settings.cache_clear()


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["jobs", *arguments])
    try:
        return jobs.main()
    finally:
        get_settings.cache_clear()


async def _state(url: str) -> queries.ServiceState:
    async with connected(url):
        return await queries.state()


def test_turning_and_showing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sqlite_url: str
) -> None:
    wish = ("--reason", "database upgrade", "--notice", "升级", "--until", "2100-01-01T00:00:00+08:00")
    assert command(monkeypatch, "switch", "maintenance", "on", *wish) == 0
    assert capsys.readouterr().out == "maintenance is on\n"
    maintenance = run(_state(sqlite_url)).maintenance
    assert maintenance is not None
    assert maintenance.notice == "升级"
    assert command(monkeypatch, "switches") == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in shown] == [
        ["hide-marketing", "off"],
        ["simplified-pages", "off"],
        ["maintenance", "on"],
    ]
    assert "database upgrade  until 2099-12-31T16:00:00+00:00" in shown[2]
    assert command(monkeypatch, "switch", "maintenance", "off", "--reason", "done") == 0
    assert run(_state(sqlite_url)) == queries.NORMAL


def test_what_is_refused_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sqlite_url: str
) -> None:
    assert command(monkeypatch, "switch", "maintenance", "on", "--reason", " ") == 2
    assert "Say why" in capsys.readouterr().err
    for wrong in (
        ("switch", "lights", "on", "--reason", "x"),
        ("switch", "maintenance", "on"),
        ("switch", "maintenance", "on", "--reason", "x", "--until", "2100-01-01T00:00:00"),
        ("switch", "maintenance", "on", "--reason", "x", "--until", "tomorrow"),
    ):
        with pytest.raises(SystemExit):
            command(monkeypatch, *wrong)
    assert run(_state(sqlite_url)) == queries.NORMAL
