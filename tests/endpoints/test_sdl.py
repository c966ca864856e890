"""The SDL is there for who builds on it: partners get theirs, staff the whole."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest
from starlette.applications import Starlette

from domain.identity import staff
from domain.identity.tokens import TokenAuthority, authority
from endpoints import sdl
from kernel.clock import utc_now
from kernel.settings import Environment, Settings
from kernel.states import StaffRole
from models.identity import StaffMember
from tests.factories import SCOPES

PRODUCTION = Settings(environment=Environment.PRODUCTION)
TOKENS: TokenAuthority = authority(Settings())
WHOLE, PARTNER = "reconciliationRuns(", "# The schema as partners see it."


async def answer(settings: Settings, **headers: str) -> httpx.Response:
    app = Starlette(routes=list(sdl.routes(settings, tokens=lambda: TOKENS)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
        return await http.get("/schema.graphql", headers=headers)


def bearing(client_id: str, scopes: frozenset[str], user_id: object = None) -> str:
    issued = TOKENS.issue(user_id=user_id or uuid4(), client_id=client_id, scopes=scopes, now=utc_now())  # type: ignore[arg-type]
    return f"Bearer {issued}"


async def test_in_production_everybody_gets_what_partners_see() -> None:
    text = (await answer(PRODUCTION)).text
    assert text.startswith(PARTNER)
    assert WHOLE not in text


async def test_in_development_who_does_not_sign_in_gets_the_whole() -> None:
    assert WHOLE in (await answer(Settings())).text


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("settings", [PRODUCTION, Settings()])
class TestTokens:
    async def test_partners_get_theirs(self, settings: Settings) -> None:
        text = (await answer(settings, authorization=bearing("fleet", SCOPES))).text
        assert text.startswith(PARTNER)
        assert WHOLE not in text

    async def test_staff_get_the_whole_as_long_as_they_work_here(self, settings: Settings) -> None:
        member = await staff.add(name="李雷", roles=frozenset({StaffRole.SUPPORT}), customer_id=None, now=utc_now())
        token = bearing(staff.STAFF_CLIENT_ID, frozenset({staff.STAFF_SCOPE}), member.id)
        assert WHOLE in (await answer(settings, authorization=token)).text
        await StaffMember.filter(id=member.id).update(left_at=utc_now())
        assert WHOLE not in (await answer(settings, authorization=token)).text

    @pytest.mark.parametrize("wrong", ["", "Bearer", "Bearer x", "Basic YTpi", "Bearer " + "x" * 9_000])
    async def test_a_token_that_is_none_is_refused(self, settings: Settings, wrong: str) -> None:
        refused = await answer(settings, authorization=wrong)
        assert refused.status_code == 401
        assert refused.text == ""


async def test_what_has_not_changed_is_not_sent_again() -> None:
    first = await answer(PRODUCTION)
    again = await answer(PRODUCTION, **{"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.text) == (304, "")
    assert again.headers["etag"] == first.headers["etag"]
    other = await answer(Settings(), **{"if-none-match": first.headers["etag"]})
    assert other.status_code == 200
