"""`checkCard` as a client asks it: the condition and a hint, and when to come back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from models.cards import CardCheck
from tests.schema.conftest import Client
from tests.schema.support import BIND, LANGUAGES

NUMBER = "1000111100000000001"
CHECK = """
mutation ($card: ID!) {
  answer: checkCard(input: { cardId: $card }) {
    __typename
    ... on CheckCardSuccess { condition ownerHint card { id maskedNumber checkedAt } }
    ... on UserError { code message }
    ... on CardCheckError { retryAt }
  }
}"""


async def bound(client: Client) -> str:
    answer = (await client.ask(BIND, {"number": NUMBER}))["answer"]
    return str(answer["card"]["id"])


async def test_a_card_is_checked_once_in_thirty_seconds(client: Client) -> None:
    card = await bound(client)
    first = (await client.ask(CHECK, {"card": card}))["answer"]
    assert (first["__typename"], first["condition"], first["ownerHint"]) == ("CheckCardSuccess", "USABLE", "*伟")
    assert NUMBER not in str(first)
    checked_at = datetime.fromisoformat(first["card"]["checkedAt"])
    said: list[dict[str, Any]] = []
    for language in LANGUAGES:
        response = await client.post(CHECK, {"card": card}, **{"Accept-Language": language})
        said.append(response.json()["data"]["answer"])
    assert {(each["__typename"], each["code"]) for each in said} == {("CardCheckError", "CARD_CHECKED_TOO_SOON")}
    assert {(datetime.fromisoformat(each["retryAt"]) - checked_at).total_seconds() for each in said} == {30.0}
    assert len({each["message"] for each in said}) == len(LANGUAGES)


async def test_a_card_of_somebody_else_is_not_found(client: Client) -> None:
    card = await bound(await client.another_person())
    answer = (await client.ask(CHECK, {"card": card}))["answer"]
    assert (answer["__typename"], answer["code"]) == ("NotFound", "CARD_NOT_FOUND")
    assert await CardCheck.all().count() == 0
