"""Who may do what, asked of the running application: every field × everybody × HTTP and WebSocket.

The questions are made from the SDL. Nobody gets what the SDL says is not for them, or any mark of somebody else's
things; what is denied changes no row and calls no third party; what is allowed is not denied.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from app import Application, create_app
from kernel.settings import Settings
from tests.access_matrix.asking import Wire, every_row, over_events, over_http, over_socket, rows_of, socket_of, sockets
from tests.access_matrix.belongings import FIRST_FIELDS, Belongings, create_belongings
from tests.access_matrix.people import Person, everybody
from tests.access_matrix.questions import (
    SDL,
    Question,
    node_questions,
    organisation_questions,
    root_questions,
    viewer_questions,
)
from tests.sandbox_fixtures import Sandbox
from tests.subscriptions.support import all_published, eventually


@dataclass
class Place:
    """The running application and what the owner has in it."""

    http: httpx.AsyncClient
    address: str
    settings: Settings
    owned: Belongings
    wire: Wire

    def questions(self) -> Iterator[Question]:
        yield from root_questions(self.owned.given)
        yield from viewer_questions(self.owned.given)
        yield from organisation_questions({"organisation.id": self.owned.ids["Organisation"]})
        yield from node_questions(self.owned.ids, FIRST_FIELDS)
        at_work = {"Card": self.owned.firm.card_id, "Order": self.owned.firm.order_id}
        for question in (*root_questions(self.owned.given_at_work), *node_questions(at_work, FIRST_FIELDS)):
            if question.variables.keys() & {"id", "input"} and set(at_work.values()) & set(_values(question.variables)):
                yield replace(question, name=f"{question.name} at work")

    async def answers(self, person: Person, questions: list[Question]) -> AsyncIterator[tuple[Question, str, Any]]:
        """Ask over every transport; a stream that is allowed does not end, so HTTP asks for those that are not.

        One that answers at once, whoever asks, is asked by an event stream as well.
        """
        async with socket_of(self.address, person) as socket:
            for number, question in enumerate(questions):
                if question.operation != "subscription" or not person.may(question):
                    yield question, "HTTP", await over_http(self.http, person, question)
                elif question.name.startswith("Subscription.orderUpdated"):
                    yield question, "events", await over_events(self.address, person, question)
                yield (
                    question,
                    "WebSocket",
                    await over_socket(socket, question, str(number), denied=not person.may(question)),
                )

    def leaks(self, answer: Any, person: Person) -> list[str]:
        text = json.dumps(answer, ensure_ascii=False)
        return [mark for mark in self.owned.hidden_from(belongs=person.belongs) if mark in text]


@pytest.fixture
async def place(sqlite_url: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    settings = sandbox.settings(
        database_url=sqlite_url,
        worker_in_server=False,
        document_aliases_max=1_000,
        document_fields_max=5_000,
        # What is counted meanwhile is written at the end, since nothing may be written while somebody is denied.
        deprecated_usage_interval_s=3_600,
    )
    app: Application = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        sockets(app) as address,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
    ):
        owned = await create_belongings(settings)
        await eventually(all_published)
        wire, really = Wire(), httpx.AsyncHTTPTransport.handle_async_request

        async def handle(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            is_own = f"{request.url.host}:{request.url.port}" == address
            return await (really if is_own else wire.handle)(transport, request)

        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
        yield Place(http, address, settings, owned, wire)


def _values(given: Any) -> Iterator[str]:
    """Yield the texts of variables, however deep."""
    if isinstance(given, dict | list):
        for each in given.values() if isinstance(given, dict) else given:
            yield from _values(each)
    elif isinstance(given, str):
        yield given


def _by_members(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the rows that a driver may write: orders for the organisation's cards, and when one was asked about."""
    return {table: rows[table] for table in ("recharge_order", "fuel_card")}


def denies(answer: Any, person: Person) -> bool:
    """Whether an answer is a refusal in one of its two forms, and holds nothing beside it."""
    data = answer.get("data")
    shown = data and data.get("answer")
    if shown:
        return bool(shown["__typename"] == "Forbidden" and shown["Forbidden_code"] == person.refusal == "FORBIDDEN")
    (error,) = answer["errors"]
    return bool(error["extensions"]["code"] == person.refusal)


async def deny(place: Place, person: Person, questions: list[Question]) -> int:
    """Ask what is not for a person, and return how many answers there were."""
    before, count = await every_row(), 0
    async for question, transport, answer in place.answers(person, questions):
        cell, count = f"{question.name} × {person.name} × {transport}: {answer}", count + 1
        assert not place.leaks(answer, person), cell
        if question.name.startswith("node(") or (question.name.startswith("Viewer.") and not person.is_customer):
            assert "errors" not in answer, cell
            assert next(iter(answer["data"].values())) is None, cell
        else:
            assert denies(answer, person), cell
    assert await every_row() == before, f"what {person.name} was denied has changed something"
    assert place.wire.calls == [], f"what {person.name} was denied has called a third party"
    return count


async def allow(place: Place, person: Person, questions: list[Question]) -> int:
    """Ask what is for a person, and return how many answers there were."""
    count = 0
    async for question, transport, answer in place.answers(person, questions):
        cell, count = f"{question.name} × {person.name} × {transport}: {answer}", count + 1
        if not person.is_owner and not person.roles:
            assert not place.leaks(answer, person), cell
        codes = {each["extensions"]["code"] for each in (answer or {}).get("errors", ())}
        # Who has left has the scope of staff still, and is refused for any order by their row.
        refusals = set() if person.name == "leaver" else {"FORBIDDEN", "UNAUTHENTICATED"}
        assert not codes & {*refusals, "GRAPHQL_VALIDATION_FAILED", "BAD_REQUEST"}, cell
    return count


async def test_nobody_gets_what_is_not_for_them(place: Place) -> None:
    questions = list(place.questions())
    assert len(questions) > 60
    owner, denied, allowed, acting = str(place.owned.owner.user_id), 0, 0, []
    async for person in everybody(place.settings, place.owned):
        no = [each for each in questions if not person.may(each)]
        yes = [each for each in questions if person.may(each)]
        denied += await deny(place, person, no)
        rows = await every_row()
        before, firm = rows_of(rows, owner), rows_of(rows, place.owned.firm.key)
        if person.token and not person.is_owner and not person.roles:
            # A stranger does whatever a customer may, with the ids of somebody else; who belongs there stays there.
            yes = sorted(yes, key=lambda each: each.operation == "mutation")
            allowed += await allow(place, person, [each for each in yes if "leaveOrganisation" not in each.name])
            assert rows_of(await every_row(), owner) == before, person.name
            now = rows_of(await every_row(), place.owned.firm.key)
            assert (now if not person.belongs else {**now, **_by_members(firm)}) == firm, person.name
        else:
            allowed += await allow(place, person, [each for each in yes if each.operation != "mutation"])
        place.wire.calls.clear()
        if person.acts:
            acting.append((person, [each for each in yes if each.operation == "mutation"]))
    for person, mutations in acting:
        allowed += await allow(place, person, mutations)
    assert denied > 1_000
    assert allowed > 300


async def test_the_owner_sees_the_marks_that_others_must_not(place: Place) -> None:
    """Otherwise their absence would prove nothing."""
    seen: set[str] = set()
    members_sees: set[str] = set()
    async for person in everybody(place.settings, place.owned):
        questions = [each for each in place.questions() if each.operation == "query"]
        if person.name == "owner":
            async for _, _, answer in place.answers(person, questions):
                seen |= set(place.leaks(answer, person))
        if person.belongs:
            async for _, _, answer in place.answers(person, questions):
                members_sees |= set(place.leaks(answer, replace(person, belongs=False)))
    assert seen == set(place.owned.hidden_from(belongs=False)) - {str(place.owned.owner.user_id)}
    assert members_sees == set(place.owned.firm.shared)


def test_every_field_is_asked() -> None:
    """Each root field makes a question; `node` makes one for each type behind it."""
    names = {each.name for each in root_questions({"id": "nothing"})}
    for parent in (SDL.query_type, SDL.mutation_type, SDL.subscription_type):
        assert parent is not None
        assert {f"{parent.name}.{name}" for name in parent.fields if name != "node"} <= names
