"""schemathesis draws requests from the SDL for every field of Query and Mutation, and sends them to a running house."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import schemathesis
from graphql import GraphQLObjectType, build_schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.graphql import nodes

from domain.identity.staff import STAFF_CLIENT_ID, STAFF_SCOPE
from domain.identity.tokens import authority
from jobs.imports import load_demo_data
from kernel.clock import utc_now
from kernel.states import StaffRole
from models.database import connected
from schema.sdl import PATH
from tests.access_matrix.questions import requirement_of
from tests.factories import create_card, create_staff, create_viewer
from tests.house_process import RunningHouse, running
from tests.sandbox_fixtures import Sandbox
from tests.services import run

EXAMPLES = 4
SCOPES, OF_STAFF = frozenset({"profile", "cards", "recharge", "webhooks"}), frozenset({STAFF_SCOPE})
# What ends the session, or all mutations, comes last.
LAST = ("Mutation.endAllSessions", "Mutation.turnSwitch")
SDL = build_schema(PATH.read_text(encoding="utf-8"))
REQUESTS_MIN = 250
AMOUNTS = st.decimals(min_value=-10, max_value=100_000, places=3).map(str)
MOMENTS = st.datetimes().map(lambda each: f"{each.isoformat()}Z")


@dataclass
class Sent:
    """What was asked and answered."""

    requests: int = 0
    codes: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Asked:
    """The house that is asked, as a customer and as somebody who may do everything that staff may."""

    house: RunningHouse
    customer: str
    staff: str


async def create_people(url: str) -> tuple[UUID, UUID]:
    """Return the ids of a customer who has a card, and of a member of staff with every role."""
    async with connected(url):
        await load_demo_data()
        viewer, member = await create_viewer(), await create_staff(*StaffRole)
        await create_card(viewer)
    return viewer.user_id, member.id


@pytest.fixture
def asked(tmp_path: Path, sandbox: Sandbox, sqlite_url: str) -> Iterator[Asked]:
    customer_id, staff_id = run(create_people(sqlite_url))
    with running(tmp_path, sandbox, worker=False, DATABASE_URL=sqlite_url) as house:
        tokens = authority(sandbox.settings(database_url=sqlite_url, port=house.port))
        yield Asked(
            house,
            tokens.issue(user_id=customer_id, client_id="tests", scopes=SCOPES, now=utc_now()),
            tokens.issue(user_id=staff_id, client_id=STAFF_CLIENT_ID, scopes=OF_STAFF, now=utc_now()),
        )


@pytest.fixture(scope="module")
def operations() -> list[Any]:
    schemathesis.graphql.scalar("Yuan", AMOUNTS.map(nodes.String))
    schemathesis.graphql.scalar("DateTime", MOMENTS.map(nodes.String))
    schemathesis.graphql.scalar("Date", st.dates().map(str).map(nodes.String))
    schemathesis.graphql.scalar("Fen", st.integers().map(nodes.Int))
    schemathesis.graphql.scalar("JSONObject", st.just(nodes.Object([])))
    schema = schemathesis.graphql.from_path(str(PATH))
    found = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    return sorted(found, key=lambda each: (each.label in LAST, each.label))


def is_for_staff(label: str) -> bool:
    parent, name = label.split(".")
    kind = SDL.type_map[parent]
    assert isinstance(kind, GraphQLObjectType)
    requirement = requirement_of(kind.fields[name])
    return requirement is not None and requirement.kind == "requiresRole"


def send(http: httpx.Client, token: str, case: Any, label: str, sent: Sent) -> None:
    """Send one request. Fails where the answer is not one of GraphQL, or it is our fault."""
    answer = http.post("/graphql", json={"query": case.body}, headers={"Authorization": f"Bearer {token}"})
    sent.requests += 1
    assert answer.status_code < 500, (case.body, answer.text)
    assert "json" in answer.headers["content-type"], case.body
    body = answer.json()
    assert isinstance(body, dict), case.body
    assert {"data", "errors"} & body.keys(), case.body
    codes = {each["extensions"]["code"] for each in body.get("errors", ())}
    assert "INTERNAL" not in codes, (case.body, answer.text)
    # `rateLimit` reads a document that is given to it.
    assert "GRAPHQL_PARSE_FAILED" not in codes or label == "Query.rateLimit", case.body
    sent.codes |= codes
    if body.get("data"):
        sent.answered.add(label)


def try_out(http: httpx.Client, operation: Any, token: str, sent: Sent) -> None:
    """Send what is drawn for one field."""

    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(operation.as_strategy())
    def ask(case: Any) -> None:
        send(http, token, case, operation.label, sent)

    ask()


def test_whatever_the_schema_allows_is_answered(asked: Asked, operations: list[Any]) -> None:
    roots = [kind for kind in (SDL.query_type, SDL.mutation_type) if kind]
    assert {each.label for each in operations} == {f"{kind.name}.{name}" for kind in roots for name in kind.fields}
    sent, house = Sent(), asked.house
    with httpx.Client(base_url=house.url, trust_env=False, timeout=30) as http:
        for each in operations:
            try_out(http, each, asked.staff if is_for_staff(each.label) else asked.customer, sent)
    assert sent.requests > REQUESTS_MIN
    # Most fields were answered, so that what was drawn is not all refused at the door.
    assert len(sent.answered) > len(operations) / 2, sent
    assert "Traceback" not in house.server.log.read_text(encoding="utf-8"), house.server.tail()
