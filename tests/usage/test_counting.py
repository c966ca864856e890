"""Who uses what is deprecated is counted at once, written down by the clock, and shown."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from prometheus_client import REGISTRY
from tortoise.exceptions import OperationalError

from app import create_app
from domain.identity.tokens import authority
from domain.usage import operations as usage
from domain.usage.queries import deprecated_uses
from jobs import deprecated_usage
from kernel.clock import utc_now
from models.database import connected
from models.usage import DeprecatedUse
from subscriptions.usage import OTHERS, UsageCounter
from tests.factories import SCOPES
from tests.sandbox_fixtures import Sandbox
from tests.subscriptions.support import eventually

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
ASKED = "subscription { alerts { ... on AlertEvent { alert { ... on WorkAlert { work { id } } } } } }"
SDL = """
type Query {
  a: Int @deprecated(reason: "Use `c`. Deprecated since 2026-11-29; it stays until 2027-05-01.")
  b: Int @deprecated(reason: "Old.")
  c: Int
}
"""


async def counted() -> dict[tuple[str, str], int]:
    return {(each.client_id, each.coordinate): each.count for each in await deprecated_uses()}


def shown(client: str, coordinate: str) -> float:
    labels = {"client": client, "coordinate": coordinate}
    return REGISTRY.get_sample_value("youka_deprecated_uses_total", labels) or 0.0


@pytest.mark.usefixtures("database")
class TestRecording:
    async def test_counts_are_added_up(self) -> None:
        await usage.record(uses={("a", "T.x"): 2, ("", "T.x"): 1}, now=NOW)
        await usage.record(uses={("a", "T.x"): 3, ("a", "T.y"): 1}, now=NOW + timedelta(hours=1))
        assert await counted() == {("", "T.x"): 1, ("a", "T.x"): 5, ("a", "T.y"): 1}
        row = await DeprecatedUse.get(client_id="a", coordinate="T.x")
        assert (row.first_used_at, row.last_used_at) == (NOW, NOW + timedelta(hours=1))

    async def test_processes_that_count_at_once_lose_nothing(self) -> None:
        uses = {("a", f"T.f{number}"): 1 for number in range(5)}
        turned = dict(reversed(uses.items()))
        await asyncio.gather(*(usage.record(uses=each, now=NOW) for each in (uses, turned) * 5))
        assert await counted() == dict.fromkeys(uses, 10)

    async def test_what_cannot_be_written_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        counter, record = UsageCounter(), usage.record

        async def away(**_: object) -> None:
            counter.note("a", ["T.x"])
            raise OperationalError("the database is away")

        counter.note("a", ["T.x", "T.y"])
        monkeypatch.setattr(usage, "record", away)
        with pytest.raises(OperationalError):
            await counter.write()
        monkeypatch.setattr(usage, "record", record)
        await counter.write()
        await counter.write()
        assert await counted() == {("a", "T.x"): 2, ("a", "T.y"): 1}

    async def test_the_command_shows_until_when_what_stays_for_whom(self, capsys: pytest.CaptureFixture[str]) -> None:
        await usage.record(uses={("fleet", "Query.a"): 2, ("", "Query.a"): 1, ("fleet", "Gone.x"): 7}, now=NOW)
        assert await deprecated_usage.show(as_json=True, sdl=SDL) == 0
        lines = json.loads(capsys.readouterr().out)
        assert [(each["coordinate"], each["client"], each["uses"], each["stays until"]) for each in lines] == [
            ("Gone.x", "fleet", 7, "-"),
            ("Query.a", "anonymous", 1, "2027-05-01"),
            ("Query.a", "fleet", 2, "2027-05-01"),
            ("Query.b", "-", 0, "-"),
        ]
        assert await deprecated_usage.show(as_json=False) == 0
        assert "ParkedWork.id" in capsys.readouterr().out

    async def test_where_nothing_is_deprecated_it_says_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert await deprecated_usage.show(as_json=False, sdl="type Query { a: Int }") == 0
        assert capsys.readouterr().out == "nothing is deprecated\n"


def test_clients_beyond_the_limit_share_a_name() -> None:
    counter = UsageCounter(pairs_max=2)
    before = shown(OTHERS, "T.limited")
    for client in ("c1", "c2", "c3", "c4", "c1"):
        counter.note(client, ["T.limited"])
    assert shown("c1", "T.limited") == 2
    assert shown(OTHERS, "T.limited") == before + 2
    assert shown("c3", "T.limited") == 0


async def test_requests_are_counted_per_client_and_written_by_the_clock_and_at_the_end(
    database_url: str, sandbox: Sandbox
) -> None:
    settings = sandbox.settings(database_url=database_url, worker_in_server=False, deprecated_usage_interval_s=0.05)
    app, client_id = create_app(settings), f"partner-{uuid4().hex[:8]}"
    token = authority(settings).issue(user_id=uuid4(), client_id=client_id, scopes=SCOPES, now=utc_now())
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
    ):
        named = {"Authorization": f"Bearer {token}"}
        for headers in (named, named, {}):
            answer = await http.post("/graphql", json={"query": ASKED}, headers=headers)
            assert answer.json()["errors"]
        assert (await http.post("/graphql", json={"query": "{ viewer { __typename } }"}, headers=named)).is_success
        assert shown(client_id, "ParkedWork.id") == 2

        async def written() -> bool:
            return (await counted()).get((client_id, "ParkedWork.id")) == 2

        await eventually(written)
        await http.post("/graphql", json={"query": ASKED}, headers=named)
    async with connected(database_url):
        assert await counted() == {("", "ParkedWork.id"): 1, (client_id, "ParkedWork.id"): 3}
