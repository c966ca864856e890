"""Every mutation there is, and after each of them what is kept of everybody's accounts is what is true."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from subscriptions import keeping
from tests.access_matrix.asking import over_http
from tests.access_matrix.people import CUSTOMER, Person, everybody
from tests.access_matrix.test_matrix import Place, place  # noqa: F401 -- a fixture.

ACCOUNT = """query Account { viewer { profile { id displayName } wallet { balance { fen } held { fen } }
  cards { edges { node { id brand maskedNumber boundAt } } }
  orders { edges { node { id state price { fen } failureKind refundState reviewState updatedAt card { id } } } } } }"""
STATIONS = "query Stations { stations(first: 5) { edges { node { id name zone { id } prices { id } } } } }"


async def shown(place: Place, person: Person, text: str) -> Any:  # noqa: F811
    answer = await place.http.post("/graphql", json={"query": text}, headers=person.headers)
    body = answer.json()
    assert "errors" not in body, body
    return body["data"]


async def test_no_mutation_leaves_an_answer_that_is_not_true(place: Place) -> None:  # noqa: F811
    people = [each async for each in everybody(place.settings, place.owned)]
    watching = [each for each in people if each.scopes == CUSTOMER]
    assert {each.name for each in watching} == {"stranger", "removed member", "member", "owner"}
    hits, mutations, changed = keeping.HIT._value.get(), 0, 0
    for person in (each for each in people if each.acts):
        for question in place.questions():
            if question.operation != "mutation" or not person.may(question):
                continue
            before = [await shown(place, each, ACCOUNT) for each in watching]
            await shown(place, watching[0], STATIONS)
            await over_http(place.http, person, question)
            mutations += 1
            for each, old in zip(watching, before, strict=True):
                now = await shown(place, each, ACCOUNT)
                cell = f"{question.name} by {person.name}, seen by {each.name}"
                # Nobody has asked in these words before, so nothing that is kept answers them.
                assert now == await shown(place, each, f"{ACCOUNT} # {uuid4()}"), cell
                changed += now != old
            assert await shown(place, watching[0], STATIONS) == await shown(
                place, watching[0], f"{STATIONS} # {uuid4()}"
            ), question.name
        place.wire.calls.clear()
    assert mutations > 60
    assert changed >= 3
    # Otherwise nothing was kept, and nothing proven.
    assert keeping.HIT._value.get() - hits > mutations
