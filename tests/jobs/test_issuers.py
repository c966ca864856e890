"""The commands and the work that look after card issuers."""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import timedelta

import pytest

from domain.cards.ports import Issuers
from gateways.assembly import third_parties
from jobs import issuers as commands
from jobs.issuers import IssuerWork
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.settings import get_settings
from models.cards import IssuerStanding
from models.jobs import Job
from tests.sandbox_fixtures import Sandbox

ISSUER = "ofpay"


class TestCommands:
    @pytest.fixture
    async def issuers(self, database: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
        settings = sandbox.settings(issuers=(ISSUER, "juhe"), third_party_timeout_s=30.0)
        monkeypatch.setattr(commands, "get_settings", lambda: settings)
        async with third_parties(settings) as parties:
            yield parties.issuers

    async def test_status(self, issuers: Issuers, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
        arguments = Namespace(json=True)
        assert await commands._status(arguments, issuers) == 0
        told = {each["issuer"]: each for each in json.loads(capsys.readouterr().out)}
        assert set(told) == {ISSUER, "juhe"}
        assert told[ISSUER]["deposit_fen"] > 0
        sandbox.faults(juhe="down")
        assert await commands._status(arguments, issuers) == 1
        out = capsys.readouterr().out
        down = json.loads(out[out.index("[\n") :])[1]
        assert (down["reached"], down["deposit_fen"], down["rests"]) == (False, None, True)

    async def test_deposits_are_noted_by_the_clock(self, issuers: Issuers) -> None:
        now = utc_now()
        due_at = await IssuerWork(get_settings(), issuers).watch(Job(id=new_id()), now)
        assert due_at == now + timedelta(seconds=60)
        assert await IssuerStanding.filter(deposit_at=now).count() == len(issuers.all)
