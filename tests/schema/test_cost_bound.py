"""Nothing costs more than it was announced to, whatever is asked: generated documents over rows that are there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from structlog.testing import capture_logs

from app import create_app
from domain.access.rules import POSSIBLE_SCOPES
from domain.identity.tokens import authority
from kernel.clock import utc_now
from kernel.states import ClientKind
from tests.access_matrix.belongings import Belongings, create_belongings
from tests.factories import PETROCHINA_NUMBER, create_card, create_order
from tests.sandbox_fixtures import Sandbox
from tests.schema.conftest import Client
from tests.schema.generating import Generator

DOCUMENTS = 200


@pytest.fixture
async def owner(sqlite_url: str, sandbox: Sandbox) -> AsyncIterator[tuple[Client, Belongings]]:
    """Somebody who has several of what can be asked for."""
    settings = sandbox.settings(
        database_url=sqlite_url, worker_in_server=False, document_fields_max=5_000, document_aliases_max=1_000,
        document_spreads_max=1_000, document_depth_max=50, document_directives_max=1_000, document_values_max=5_000,
    )  # fmt: skip
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
    ):
        owned = await create_belongings(settings)
        card = await create_card(owned.owner, PETROCHINA_NUMBER)
        for number in range(3):
            await create_order(owned.owner, card, key=f"one-more-{number}")
        scopes = POSSIBLE_SCOPES[ClientKind.MINI_PROGRAM] | {"webhooks"}
        token = authority(settings).issue(
            user_id=owned.owner.user_id, client_id="tests", scopes=frozenset(scopes), now=utc_now()
        )
        yield Client(http, settings, owned.owner, {"Authorization": f"Bearer {token}"}), owned


# Where one of several siblings makes all of them null, the others may be given up before they were begun.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_no_document_costs_more_than_announced(owner: tuple[Client, Belongings]) -> None:
    client, owned = owner
    given = {**owned.given, "station.id": owned.ids["Station"], "node.id": owned.ids["Order"]}
    executed = nested = 0
    with capture_logs() as logs:
        for seed in range(DOCUMENTS):
            generator = Generator(seed, given)
            text = generator.document()
            answer = (await client.post(text, generator.variables)).json()
            if "data" not in answer:
                # A field that may not be there twice, or that takes another type elsewhere.
                assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED", answer
                continue
            cost = answer["extensions"]["cost"]
            assert 1 <= cost["actual"] <= cost["requested"], text
            executed, nested = executed + 1, nested + (cost["actual"] > 10)
    assert [each for each in logs if each["event"] == "cost.underestimated"] == []
    assert executed > DOCUMENTS * 0.8
    assert nested > DOCUMENTS * 0.2


async def test_where_every_list_is_full_it_costs_what_was_announced(owner: tuple[Client, Belongings]) -> None:
    client, _ = owner
    text = "{ viewer { cards(first: 2) { edges { node { id } } } orders(first: 4) { edges { node { id } } } } }"
    answer = (await client.post(text)).json()
    assert len(answer["data"]["viewer"]["orders"]["edges"]) == 4
    assert answer["extensions"]["cost"]["actual"] == answer["extensions"]["cost"]["requested"]
