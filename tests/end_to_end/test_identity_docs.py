"""What the guide to signing in says is run here: its lines of shell, against a server, one after another."""

from __future__ import annotations

import re

from kernel.settings import Settings
from tests.guides import run_lines
from tests.house_process import ROOT, RunningHouse

GUIDE = ROOT / "docs" / "identity.md"


async def test_the_lines_do_what_they_say(house: RunningHouse) -> None:
    printed = await run_lines(house, GUIDE)
    for said in ("/oauth/token", '"deviceName":"iPhone 17","isCurrent":true', "DeviceSuccess", "recharge:voice"):
        assert said in printed


def test_the_settings_are_there() -> None:
    names = set(re.findall(r"`YOUKA_(\w+?)[`=]", GUIDE.read_text(encoding="utf-8")))
    assert len(names) > 8
    assert {name.lower() for name in names} <= Settings.model_fields.keys()
