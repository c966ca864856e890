"""Staff: a page with password and second factor, a code with PKCE, and the roles behind the token."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from app import create_app
from domain.access import staff as access
from domain.access import totp
from domain.access.staff import Enrolled, StaffUnknown
from domain.events.streams import ALERTS
from domain.identity import staff
from domain.identity.staff import StaffOnly
from kernel import keys
from kernel.access_states import SignInKind
from kernel.clock import utc_now
from kernel.states import SessionEnd, StaffRole
from models.access import AccessAttempt, AuthorizationCode, OAuthSession, StaffCredential
from models.events import Event
from models.sign_ins import SignInLock, SignInRecord
from tests.access.conftest import HOUR, Entrance, error_of, trace
from tests.factories import create_staff
from tests.sandbox_fixtures import Sandbox

REDIRECT = "http://127.0.0.1/callback"
BACK = "http://127.0.0.1:51234/callback"
VERIFIER = "v" * 43
REVIEWS = "{ reviews { edges { node { id } } } }"


@dataclass
class Desk:
    """A member of staff in front of the page."""

    entrance: Entrance
    name: str
    enrolled: Enrolled

    @property
    def secret(self) -> str:
        return parse_qs(urlsplit(self.enrolled.totp_uri).query)["secret"][0]

    def code(self, *, steps: int = 0) -> str:
        return totp.code_at(self.secret, totp.step_of(utc_now()) + steps)

    async def open(self, **changes: str | None) -> httpx.Response:
        usual = {
            "response_type": "code",
            "client_id": "staff",
            "redirect_uri": BACK,
            "state": "the state",
            "code_challenge": str(create_s256_code_challenge(VERIFIER)),
            "code_challenge_method": "S256",
        }
        parameters = {name: value for name, value in {**usual, **changes}.items() if value is not None}
        return await self.entrance.http.get("/oauth/authorize", params=parameters)

    async def submit(self, page: httpx.Response, **changes: str) -> httpx.Response:
        (ticket,) = re.findall(r'name="ticket" value="([^"]+)"', page.text)
        form = {"ticket": html.unescape(ticket), "name": self.name, "password": self.enrolled.password}
        return await self.entrance.http.post("/oauth/authorize", data={**form, "code": self.code(), **changes})

    async def authorize(self) -> str:
        """Return an authorization code."""
        answer = await self.submit(await self.open())
        assert answer.status_code == 303, answer.text
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        assert query["state"] == ["the state"]
        assert query["iss"] == [self.entrance.settings.issuer]
        return query["code"][0]

    async def exchange(self, code: str, **changes: str) -> httpx.Response:
        form = {"client_id": "staff", "redirect_uri": BACK, "code_verifier": VERIFIER, **changes}
        return await self.entrance.token("authorization_code", code=code, **form)

    async def sign_in(self) -> Any:
        answer = await self.exchange(await self.authorize())
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def entrance(database_url: str, sandbox: Sandbox) -> AsyncIterator[Entrance]:
    settings = sandbox.settings(
        database_url=database_url, worker_in_server=False, staff_redirect_uris=(REDIRECT, "https://staff.example/cb")
    )
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
    ):
        yield Entrance(http, settings, sandbox, app)


async def hire(entrance: Entrance, *roles: StaffRole) -> Desk:
    member = await create_staff(*roles)
    enrolled = await access.enrol(name=member.name, sealer=keys.sealer(entrance.settings), now=utc_now())
    return Desk(entrance, member.name, enrolled)


@pytest.fixture
async def desk(entrance: Entrance) -> Desk:
    return await hire(entrance)


class TestSigningIn:
    async def test_with_password_and_second_factor(self, desk: Desk) -> None:
        page = await desk.open()
        policy = page.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self' http://127.0.0.1:51234" in policy
        given = await desk.sign_in()
        assert given["scope"] == "staff"
        data = await desk.entrance.ask(given["access_token"], REVIEWS)
        assert data["reviews"]["edges"] == []
        renewed = await desk.entrance.refresh(given["refresh_token"], client_id="staff")
        assert renewed.status_code == 200
        (session,) = await OAuthSession.all()
        assert session.expires_at - session.created_at == desk.entrance.policy.staff_session_lifetime

    async def test_what_is_kept_tells_nothing(self, desk: Desk) -> None:
        (row,) = await StaffCredential.all()
        assert desk.enrolled.password not in row.password_hash
        assert row.password_hash.startswith("scrypt$")
        assert desk.secret.encode() not in bytes(row.totp_sealed)

    async def test_only_staff_are_enrolled(self, entrance: Entrance) -> None:
        with pytest.raises(StaffUnknown):
            await access.enrol(name="nobody", sealer=keys.sealer(entrance.settings), now=utc_now())
        assert await StaffCredential.all().count() == 0

    async def test_enrolling_again_takes_the_old_password_away(self, desk: Desk) -> None:
        old = desk.enrolled
        desk.enrolled = await access.enrol(name=desk.name, sealer=keys.sealer(desk.entrance.settings), now=utc_now())
        refused = await desk.submit(await desk.open(), password=old.password)
        assert refused.status_code == 401
        assert (await desk.sign_in())["access_token"]


class TestGuessing:
    @pytest.mark.parametrize(
        "wrong", [{"password": "wrong"}, {"code": "000000"}, {"code": ""}, {"name": "nobody"}, {"password": ""}]
    )
    async def test_what_is_wrong_gets_no_code_and_is_not_named(self, desk: Desk, wrong: dict[str, str]) -> None:
        answer = await desk.submit(await desk.open(), **wrong)
        assert answer.status_code == 401
        assert "姓名、密码或动态码有误" in answer.text
        assert await AuthorizationCode.all().count() == 0

    async def test_a_one_time_password_is_good_once(self, desk: Desk) -> None:
        code = desk.code()
        pages = [await desk.open() for _ in range(3)]
        answers = await asyncio.gather(*(desk.submit(pages[-1], code=code) for _ in pages))
        assert sorted(answer.status_code for answer in answers) == [303, 401, 401]
        assert await AuthorizationCode.all().count() == 1

    async def test_after_some_tries_even_the_right_one_has_to_wait(self, desk: Desk) -> None:
        maximum = desk.entrance.settings.staff_attempts_max
        for _ in range(maximum):
            assert (await desk.submit(await desk.open(), password="wrong")).status_code == 401
        answer = await desk.submit(await desk.open())
        assert answer.status_code == 429
        assert await AuthorizationCode.all().count() == 0
        # A colleague is not kept from signing in.
        assert (await (await hire(desk.entrance)).sign_in())["access_token"]

    async def test_a_form_of_another_browser_is_not_taken(self, desk: Desk) -> None:
        page = await desk.open()
        desk.entrance.http.cookies.clear()
        assert (await desk.submit(page)).status_code == 400
        await desk.open()
        assert (await desk.submit(page)).status_code == 400
        assert await AuthorizationCode.all().count() == 0

    async def test_a_form_that_another_site_sends_is_not_taken(self, desk: Desk) -> None:
        desk.entrance.http.headers["origin"] = "https://evil.example"
        assert (await desk.submit(await desk.open())).status_code == 400
        assert await AuthorizationCode.all().count() == 0


class TestRequests:
    @pytest.mark.parametrize(
        "changes",
        [
            {"redirect_uri": "https://evil.example/cb"},
            {"redirect_uri": "http://127.0.0.1:51234/callback/../x"},
            {"redirect_uri": "http://127.0.0.1@evil.example/callback"},
            {"redirect_uri": "http://127.0.0.1.evil.example/callback"},
            {"redirect_uri": "https://staff.example/cb?x=1"},
            {"redirect_uri": None},
            {"client_id": "nobody"},
            {"client_id": None},
        ],
    )
    async def test_nobody_is_sent_where_no_client_is(self, desk: Desk, changes: dict[str, str | None]) -> None:
        answer = await desk.open(**changes)
        assert answer.status_code == 400
        assert "location" not in answer.headers
        assert "evil.example" not in answer.text

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"response_type": "token"}, "unsupported_response_type"),
            ({"scope": "recharge"}, "invalid_scope"),
            ({"code_challenge": None}, "invalid_request"),
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"code_challenge_method": None}, "invalid_request"),
        ],
    )
    async def test_the_client_learns_what_is_wrong(
        self, desk: Desk, changes: dict[str, str | None], error: str
    ) -> None:
        answer = await desk.open(**changes)
        assert answer.status_code == 303
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        assert (query["error"], query["state"]) == ([error], ["the state"])


class TestCodes:
    async def test_a_second_use_ends_what_the_first_has_opened(self, desk: Desk) -> None:
        code = await desk.authorize()
        given = (await desk.exchange(code)).json()
        assert error_of(await desk.exchange(code)) == (400, "invalid_grant")
        assert (await OAuthSession.get()).end_reason is SessionEnd.CODE_REUSED
        assert not await desk.entrance.is_let_in(given["access_token"])

    async def test_of_five_at_once_one_gets_tokens(self, desk: Desk) -> None:
        code = await desk.authorize()
        answers = await asyncio.gather(*(desk.exchange(code) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]
        assert await OAuthSession.all().count() == 1

    @pytest.mark.parametrize(
        "changes",
        [
            {"code_verifier": "w" * 43},
            {"code_verifier": "short"},
            {"code_verifier": ""},
            {"redirect_uri": REDIRECT},
            {"redirect_uri": ""},
        ],
    )
    async def test_a_stolen_code_is_worth_nothing(self, desk: Desk, changes: dict[str, str]) -> None:
        code, before = await desk.authorize(), await trace()
        assert error_of(await desk.exchange(code, **changes)) == (400, "invalid_grant")
        assert await trace() == before

    async def test_an_expired_code(self, desk: Desk) -> None:
        code = await desk.authorize()
        await AuthorizationCode.all().update(expires_at=utc_now() - HOUR)
        assert error_of(await desk.exchange(code)) == (400, "invalid_grant")
        assert await OAuthSession.all().count() == 0


class TestRoles:
    async def test_who_has_left_is_let_in_no_more(self, desk: Desk) -> None:
        given = await desk.sign_in()
        await staff.leave(name=desk.name, now=utc_now())
        answer = await desk.entrance.post(given["access_token"], REVIEWS)
        assert answer.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        refused = await desk.entrance.refresh(given["refresh_token"], client_id="staff")
        assert error_of(refused) == (400, "invalid_grant")
        assert (await OAuthSession.get()).end_reason is SessionEnd.OWNER_GONE

    @pytest.mark.parametrize("role", list(StaffRole))
    async def test_each_role_is_its_own(self, entrance: Entrance, role: StaffRole) -> None:
        given = await (await hire(entrance, role)).sign_in()
        viewer = entrance.tokens.authenticate(given["access_token"], now=utc_now())
        await staff.require(viewer=viewer, roles=frozenset({role}))
        with pytest.raises(StaffOnly):
            await staff.require(viewer=viewer, roles=frozenset(StaffRole) - {role})

    async def test_a_drivers_token_is_not_staffs(self, entrance: Entrance) -> None:
        given = await entrance.sign_in(uuid4().hex)
        answer = await entrance.post(given["access_token"], REVIEWS)
        assert answer.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"


def test_codes_are_those_of_the_specification() -> None:
    """RFC 6238, appendix B; its secret is that of RFC 4226, and its codes have two digits more."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for seconds, code in (
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_234_567_890, "005924"),
        (20_000_000_000, "353130"),
    ):
        assert totp.code_at(secret, seconds // totp.STEP_S) == code


class TestLocks:
    async def test_wrong_passwords_lock_who_has_them_and_staff_are_told(self, desk: Desk) -> None:
        member = await staff.by_name(desk.name)
        assert member is not None
        page = await desk.open()
        for _ in range(5):
            assert (await desk.submit(page, password="wrong")).status_code == 401
        # Even where the tries of the name are forgotten, the lock holds.
        await AccessAttempt.all().delete()
        assert (await desk.submit(page)).status_code == 429
        assert await AuthorizationCode.all().count() == 0
        rows = await SignInRecord.filter(owner_id=member.id).order_by("id")
        assert [row.kind for row in rows] == [SignInKind.FAILED] * 5 + [SignInKind.LOCKED]
        assert await Event.filter(stream=ALERTS).count() == 1
        await SignInLock.all().update(locked_until=utc_now())
        await AccessAttempt.all().delete()
        await desk.sign_in()
        newest = await SignInRecord.filter(owner_id=member.id).order_by("-id").first()
        assert newest is not None
        assert (newest.kind, newest.client_id) == (SignInKind.SIGNED_IN, "staff")
        assert newest.device_name.startswith("python-httpx")
