"""`python -m jobs organisation`, as whoever runs the service types it."""

from __future__ import annotations

import pytest

from domain.cards.queries import CardNotFound
from kernel.organisation_states import OrganisationAction, OrganisationState
from models.organisations import Organisation, OrganisationLogEntry
from tests.factories import create_order
from tests.jobs.test_held_prices import jobs
from tests.organisations.support import Firm, some_code


async def test_it_suspends_and_resumes(database: str, firm: Firm) -> None:
    driver, _ = await firm.join()
    code, out, err = await jobs(database, "organisation", "suspend", some_code().lower(), "--reason", "no licence")
    assert (code, out, err) == (0, f"{some_code()} is suspended\n", "")
    assert (await Organisation.get()).state is OrganisationState.SUSPENDED
    with pytest.raises(CardNotFound):
        await create_order(driver, firm.card)
    row = await OrganisationLogEntry.get(action=OrganisationAction.SUSPENDED)
    assert row.actor.startswith("operator:")
    assert (row.actor_member_id, row.after) == (None, {"reason": "no licence"})
    assert (await jobs(database, "organisation", "resume", some_code(), "--reason", "renewed"))[0] == 0
    assert (await create_order(driver, firm.card)).organisation_id == firm.organisation.id


@pytest.mark.parametrize("wrong", [(some_code(4), "why"), ("nonsense", "why"), (some_code(), " ")])
async def test_what_is_wrong_is_told(database: str, firm: Firm, wrong: tuple[str, str]) -> None:
    code, out, err = await jobs(database, "organisation", "suspend", wrong[0], "--reason", wrong[1])
    assert (code, out) == (2, "")
    assert err.startswith("youka: ")
    assert (await Organisation.get(id=firm.organisation.id)).state is OrganisationState.ACTIVE
