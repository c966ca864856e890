"""Asking about a card: what is told of it, once in thirty seconds for each card, whoever asks from wherever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from domain.cards.checking import CardCheckedTooSoon, CardCheckUnavailable, CheckedCard, check
from domain.cards.ports import Issuers
from domain.cards.queries import CardNotFound
from domain.identity.viewer import Viewer
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import CardCondition
from models.cards import CardCheck, FuelCard
from tests.factories import POLICY, SEALER, create_card, create_viewer
from tests.sandbox_fixtures import Sandbox
from tests.silence import patient_third_parties

INTERVAL = timedelta(seconds=30)
BLOCKED_NUMBER = "1000110000000000000"


@pytest.fixture
async def issuers(sandbox: Sandbox) -> AsyncIterator[Issuers]:
    async with patient_third_parties(sandbox.settings(issuers=("ofpay", "juhe"))) as parties:
        yield parties.issuers


async def ask(viewer: Viewer, card: FuelCard | None, issuers: Issuers, now: datetime) -> CheckedCard:
    return await check(
        viewer=viewer,
        card_id=card.id if card else new_id(),
        issuers=issuers,
        rules=POLICY.routing,
        sealer=SEALER,
        interval=INTERVAL,
        now=now,
    )


@pytest.mark.usefixtures("database")
class TestCheck:
    async def test_it_is_usable_and_the_owner_is_a_hint(self, issuers: Issuers) -> None:
        viewer = await create_viewer()
        card, now = await create_card(viewer), utc_now()
        assert card.checked_at is None
        checked = await ask(viewer, card, issuers, now)
        assert (checked.condition, checked.owner_hint) == (CardCondition.USABLE, "*强")
        assert (await FuelCard.get(id=card.id)).checked_at == now

    async def test_a_blocked_card(self, issuers: Issuers) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer, number=BLOCKED_NUMBER)
        assert (await ask(viewer, card, issuers, utc_now())).condition is CardCondition.BLOCKED

    async def test_of_many_questions_at_once_one_is_asked(self, issuers: Issuers) -> None:
        """Also of several people who have bound the same card."""
        people = [await create_viewer(f"o{number}") for number in range(3)]
        bound, now = [await create_card(each) for each in people], utc_now()
        answers = await asyncio.gather(
            *(ask(viewer, card, issuers, now) for viewer, card in zip(people, bound, strict=True) for _ in range(4)),
            return_exceptions=True,
        )
        refused = [each for each in answers if isinstance(each, CardCheckedTooSoon)]
        assert len(refused) == len(answers) - 1
        assert {each.values["retry_at"] for each in refused} == {now + INTERVAL}
        assert await CardCheck.all().count() == 1
        assert await FuelCard.filter(checked_at__isnull=False).count() == 1

    async def test_thirty_seconds_later_it_is_asked_again(self, issuers: Issuers) -> None:
        viewer = await create_viewer()
        card, now = await create_card(viewer), utc_now()
        await ask(viewer, card, issuers, now)
        with pytest.raises(CardCheckedTooSoon):
            await ask(viewer, card, issuers, now + INTERVAL - timedelta(milliseconds=1))
        await ask(viewer, card, issuers, now + INTERVAL)

    async def test_another_issuer_is_asked_where_the_first_is_down(self, issuers: Issuers, sandbox: Sandbox) -> None:
        sandbox.faults(ofpay="down")
        viewer = await create_viewer()
        assert (await ask(viewer, await create_card(viewer), issuers, utc_now())).owner_hint == "*华"

    async def test_where_nobody_answers_it_says_so_and_still_counts(self, issuers: Issuers, sandbox: Sandbox) -> None:
        sandbox.faults(ofpay="down", juhe="down")
        viewer = await create_viewer()
        card, now = await create_card(viewer), utc_now()
        with pytest.raises(CardCheckUnavailable):
            await ask(viewer, card, issuers, now)
        assert (await FuelCard.get(id=card.id)).checked_at is None
        with pytest.raises(CardCheckedTooSoon):
            await ask(viewer, card, issuers, now)

    async def test_a_card_of_somebody_else_is_none(self, issuers: Issuers) -> None:
        viewer, other = await create_viewer("one"), await create_viewer("two")
        card = await create_card(other)
        for asked in (card, None):
            with pytest.raises(CardNotFound):
                await ask(viewer, asked, issuers, utc_now())
        assert await CardCheck.all().count() == 0
