"""How large a client's bucket is: by its kind, or by its own quota; and what `rateLimit` says of it."""

from __future__ import annotations

import argparse
from uuid import uuid4

import pytest

from domain.access import clients
from domain.access.clients import Quota, Terms
from domain.budgets.operations import Budgets
from domain.identity.staff import STAFF_CLIENT_ID
from domain.identity.viewer import Viewer
from jobs import access
from kernel.clock import utc_now
from kernel.settings import Settings
from kernel.states import ClientKind
from models.access import OAuthClient
from tests.budgets.conftest import Opening
from tests.factories import viewer_of
from tests.schema.conftest import Client
from tests.subscriptions.support import eventually

RATE = "query ($document: String, $variables: JSONObject) { rateLimit(document: $document, variables: $variables) "
RATE += "{ limit cost remaining resetAt } }"
OFFERS = "query ($n: Int!) { offers(first: $n) { edges { node { id } } } }"


def capacity(budgets: Budgets, client_id: str) -> int:
    viewer = Viewer(uuid4(), client_id, frozenset(), utc_now())
    return budgets.draw(viewer=viewer, address="", cost=0).bucket.capacity


class TestSizes:
    def test_each_kind_of_client_has_its_own(self) -> None:
        budgets = Budgets.of(
            Settings(rate_limit_factor=1, cost_mini_program_max=1, cost_car_max=2, cost_partner_max=3, cost_staff_max=4)
        )
        sizes = [capacity(budgets, name) for name in ("mini-program", "car", "somebody", STAFF_CLIENT_ID)]
        assert sizes == [1, 2, 3, 4]

    def test_a_quota_of_its_own_comes_first(self) -> None:
        budgets = Budgets.of(Settings(rate_limit_factor=2, cost_partner_max=3))
        budgets.use([Quota("acme", 100, 7)])
        assert capacity(budgets, "acme") == 200
        assert capacity(budgets, "other") == 6
        budgets.use([])
        assert capacity(budgets, "acme") == 6

    def test_a_key_names_the_app_and_its_user_or_the_address(self) -> None:
        budgets = Budgets.of(Settings())
        viewer = viewer_of(uuid4())
        assert budgets.draw(viewer=viewer, address="10.0.0.1", cost=1).key == f"cost:tests:{viewer.user_id}"
        assert budgets.draw(viewer=None, address="10.0.0.1", cost=1).key == "cost:address:10.0.0.1"


class TestQuota:
    async def test_servers_obey_it_soon(self, opening: Opening) -> None:
        client = await opening(access_poll_interval_ms=20)
        terms = Terms(
            client_id="tests", name="Acme", kind=ClientKind.PARTNER, scopes=frozenset({"webhooks"}), sandbox=True
        )
        await clients.add(terms=terms, now=utc_now())
        assert await limit(client) == client.settings.cost_partner_max
        given = argparse.Namespace(id="tests", cost_max=123, refill_per_s=4)
        assert await access.set_client_quota(given) == access.DONE
        await eventually(lambda: limit_is(client, 123))
        answer = await client.post("{ __typename }")
        assert answer.headers["ratelimit-policy"] == '"cost";q=123;w=31'
        await access.set_client_quota(argparse.Namespace(id="tests", cost_max=None, refill_per_s=None))
        await eventually(lambda: limit_is(client, client.settings.cost_partner_max))

    async def test_half_of_one_is_refused(self, database: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert (
            await access.set_client_quota(argparse.Namespace(id="x", cost_max=5, refill_per_s=None)) == access.REFUSED
        )
        assert "both" in capsys.readouterr().err
        assert await OAuthClient.filter(cost_max__isnull=False).count() == 0


async def limit(client: Client) -> int:
    return int((await client.ask(RATE))["rateLimit"]["limit"])


async def limit_is(client: Client, wanted: int) -> bool:
    """Whether it is so. Whoever asks again and again may also be told to wait, which says nothing of it."""
    body = (await client.post(RATE)).json()
    return "errors" not in body and body["data"]["rateLimit"]["limit"] == wanted


class TestField:
    async def test_it_says_what_is_left(self, opening: Opening) -> None:
        client = await opening(cost_partner_max=100, cost_partner_refill_per_s=0.01)
        before = utc_now().isoformat()
        said = (await client.ask(RATE))["rateLimit"]
        # The field weighs 5, what it leads to 1, and so does every request.
        assert (said["limit"], said["cost"], said["remaining"]) == (100, 7, 93)
        assert said["resetAt"] > before

    async def test_it_says_what_a_document_would_cost_and_does_not_execute_it(self, opening: Opening) -> None:
        client = await opening()
        answer = (await client.ask(RATE, {"document": OFFERS, "variables": {"n": 50}}))["rateLimit"]
        asked = (await client.post(OFFERS, {"n": 50})).json()["extensions"]["cost"]
        assert answer["cost"] == asked["requested"] > 150
        assert asked["actual"] < asked["requested"]

    @pytest.mark.parametrize("document", ["{ nothing }", "{", "query A { __typename } query B { __typename }"])
    async def test_a_document_that_could_not_be_executed(self, opening: Opening, document: str) -> None:
        client = await opening()
        assert await client.code(RATE, {"document": document}) in {
            "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED", "OPERATION_NAME_REQUIRED",
        }  # fmt: skip

    async def test_anybody_may_ask(self, opening: Opening) -> None:
        client = await opening(cost_anonymous_max=77)
        assert await limit(Client(client.http, client.settings)) == 77


async def test_what_was_not_used_is_put_back(opening: Opening) -> None:
    client = await opening(cost_partner_max=1_000, cost_partner_refill_per_s=0.01)
    for _ in range(12):
        answer = (await client.post(OFFERS, {"n": 100})).json()
        assert answer["data"]["offers"]["edges"] == []
        cost = answer["extensions"]["cost"]
        assert (cost["requested"], cost["actual"]) == (308, 8)
    # Twelve that were never used would have been three times as much as there is.
    assert cost["remaining"] >= 1_000 - 12 * 8
