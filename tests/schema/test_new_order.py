"""An order that was just made is shown as it is shown later, and its card is not loaded for that."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from domain.cards import facts
from models.database import dialect
from tests.factories import create_card
from tests.schema.conftest import Client

SHOWN = """
id state amount { fen } price { fen } failureKind refundState reviewState reviewReason payDeadlineAt createdAt updatedAt
offer { id } organisation { name } orderedBy card { id brand maskedNumber boundAt checkedAt }
"""
CREATE = f"""
mutation ($card: ID!, $key: String!) {{
  createRecharge(input: {{ cardId: $card, amount: "600.00", idempotencyKey: $key }}) {{
    ... on CreateRechargeSuccess {{ order {{ {SHOWN} }} }}
  }}
}}"""
ORDER = f"query ($id: ID!) {{ order(id: $id) {{ {SHOWN} }} }}"
CARDS = "{ viewer { cards { edges { node { id } } } } }"


async def test_it_is_the_same_order(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.viewer is not None
    await create_card(client.viewer)
    (edge,) = (await client.ask(CARDS))["viewer"]["cards"]["edges"]
    loaded: list[Any] = []
    by_ids = facts.by_ids

    async def counted(card_ids: Any) -> Any:
        loaded.append(card_ids)
        return await by_ids(card_ids)

    monkeypatch.setattr(facts, "by_ids", counted)
    variables = {"card": edge["node"]["id"], "key": uuid4().hex}
    made = (await client.ask(CREATE, variables))["createRecharge"]["order"]
    assert bool(loaded) is (dialect() != "postgres")
    assert made["card"]["id"] == edge["node"]["id"]
    assert (await client.ask(ORDER, {"id": made["id"]}))["order"] == made
    assert (await client.ask(CREATE, variables))["createRecharge"]["order"] == made
