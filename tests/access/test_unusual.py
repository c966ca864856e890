"""Sign-ins that are unusual, over the real endpoints: challenged, refused, locked, and all of them written down."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import httpx

from domain.access.rules import CHALLENGE_GRANT, DEVICE_GRANT, MINI_PROGRAM_GRANT
from domain.account import phones
from domain.events.streams import ALERTS
from domain.identity.phone_numbers import read_phone
from domain.identity.staff import STAFF_CLIENT_ID, STAFF_SCOPE
from domain.identity.viewer import Viewer
from kernel import keys
from kernel.access_states import SignInKind
from kernel.clock import utc_now
from kernel.states import StaffRole
from models.access import DeviceCode, OAuthSession
from models.events import Event
from models.sign_ins import SignInChallenge, SignInLock, SignInRecord
from models.staff_actions import StaffAction
from schema.types.relay import global_id
from tests.access.conftest import Entrance, Partner, create_partner, error_of, trace
from tests.factories import create_staff

USER, PHONE = "unusual", "13900001111"
SHANGHAI, BEIJING = "31.23,121.47,上海", "39.90,116.40,北京"
SIGN_INS = (
    "{ viewer { signIns(first: 50) { edges { node { kind reason signals deviceName network place clientName } } } } }"
)
AUDIT = "query ($id: ID!) { signIns(userId: $id) { edges { node { kind } } } }"


async def known(entrance: Entrance, *, phone: bool = True) -> UUID:
    """Return somebody who has signed in once, from Shanghai, and has a phone."""
    await entrance.sign_in(USER, device_id="phone-1", location=SHANGHAI)
    session = await OAuthSession.get()
    if phone:
        viewer = Viewer(session.owner_id, "mini-program", frozenset(), session.expires_at)
        sealer = keys.sealer(entrance.settings)
        await phones.keep(viewer=viewer, phone=read_phone(PHONE), grant=None, sealer=sealer, now=utc_now())
    return session.owner_id


async def try_in(entrance: Entrance, **form: str) -> httpx.Response:
    return await entrance.token(MINI_PROGRAM_GRANT, code=entrance.sandbox.login_code(USER), **form)


async def lines(owner_id: UUID | None) -> list[tuple[str, str]]:
    rows = await SignInRecord.filter(owner_id=owner_id).order_by("id")
    return [(row.kind.value, row.reason or " ".join(row.signals)) for row in rows]


def sent(entrance: Entrance) -> str:
    return str(entrance.sandbox.state()["sms"][0]["parameters"][0])


class TestChallenge:
    async def test_a_new_device_takes_a_code_and_is_known_from_then_on(self, entrance: Entrance) -> None:
        owner_id, before = await known(entrance), await trace()
        asked = await try_in(entrance, device_id="phone-2", device_name="新手机", scope="profile cards")
        assert error_of(asked) == (400, "insufficient_authorization")
        body = asked.json()
        assert (body["phone"], body["expires_in"]) == ("139****1111", 300)
        assert await trace() == before
        form = {"client_id": "mini-program", "auth_session": body["auth_session"]}
        wrong = f"{(int(sent(entrance)) + 1) % 1_000_000:06d}"
        assert error_of(await entrance.token(CHALLENGE_GRANT, code=wrong, **form)) == (400, "invalid_grant")
        assert await trace() == before
        given = await entrance.token(CHALLENGE_GRANT, code=sent(entrance), **form)
        assert given.status_code == 200, given.text
        assert given.json()["scope"] == "cards profile"
        assert await entrance.is_let_in(given.json()["access_token"])
        again = await entrance.token(CHALLENGE_GRANT, code=sent(entrance), **form)
        assert error_of(again) == (400, "invalid_grant")
        assert (await try_in(entrance, device_id="phone-2")).status_code == 200
        assert await lines(owner_id) == [
            ("SIGNED_IN", ""),
            ("CHALLENGED", "NEW_DEVICE"),
            ("FAILED", "SMS_CODE_WRONG"),
            ("SIGNED_IN", "NEW_DEVICE"),
            ("SIGNED_IN", ""),
        ]

    async def test_it_is_of_its_client_and_for_a_few_minutes(self, entrance: Entrance) -> None:
        await known(entrance)
        session = (await try_in(entrance, device_id="phone-2")).json()["auth_session"]
        before = await trace()
        code = sent(entrance)
        by_car = await entrance.token(CHALLENGE_GRANT, code=code, client_id="car", auth_session=session)
        assert error_of(by_car) == (400, "unauthorized_client")
        await SignInChallenge.all().update(expires_at=utc_now() - timedelta(seconds=1))
        late = await entrance.token(CHALLENGE_GRANT, code=code, client_id="mini-program", auth_session=session)
        assert error_of(late) == (400, "invalid_grant")
        assert await trace() == before

    async def test_wrong_codes_lock_the_user_for_half_an_hour(self, entrance: Entrance) -> None:
        owner_id = await known(entrance)
        session = (await try_in(entrance, device_id="phone-2")).json()["auth_session"]
        before = await trace()
        for _ in range(5):
            await entrance.token(CHALLENGE_GRANT, code="nonsense", client_id="mini-program", auth_session=session)
        locked = await entrance.token(
            CHALLENGE_GRANT, code=sent(entrance), client_id="mini-program", auth_session=session
        )
        assert error_of(locked) == (429, "temporarily_unavailable")
        assert 1_700 < int(locked.headers["retry-after"]) <= 1_800
        assert error_of(await try_in(entrance, device_id="phone-1")) == (429, "temporarily_unavailable")
        assert await trace() == before
        assert (await lines(owner_id))[-2:] == [("LOCKED", "OWNER"), ("REFUSED", "SIGN_IN_LOCKED")]
        lock = await SignInLock.get(owner_id=owner_id)
        await SignInLock.filter(id=lock.id).update(locked_until=utc_now() - timedelta(seconds=1))
        assert (await try_in(entrance, device_id="phone-1")).status_code == 200


class TestRefused:
    async def test_from_another_city_on_a_new_device(self, entrance: Entrance) -> None:
        owner_id = await known(entrance)
        before, messages = await trace(), len(entrance.sandbox.state()["sms"])
        assert error_of(await try_in(entrance, device_id="thief", location=BEIJING)) == (400, "access_denied")
        assert (await trace(), len(entrance.sandbox.state()["sms"])) == (before, messages)
        assert (await lines(owner_id))[-1] == ("REFUSED", "SIGN_IN_UNUSUAL")
        far = await try_in(entrance, device_id="phone-1", location=BEIJING)
        assert error_of(far) == (400, "insufficient_authorization")

    async def test_who_has_no_phone_is_let_in_with_a_new_device_and_not_from_afar(self, entrance: Entrance) -> None:
        owner_id = await known(entrance, phone=False)
        assert error_of(await try_in(entrance, device_id="phone-1", location=BEIJING)) == (400, "access_denied")
        assert (await try_in(entrance, device_id="phone-2")).status_code == 200
        assert (await lines(owner_id))[-1] == ("SIGNED_IN", "NEW_DEVICE")

    async def test_a_car_that_is_approved_here_is_not_let_in_there(self, entrance: Entrance) -> None:
        owner_id = await known(entrance)
        for vehicle, place in (("LSVAU2180N2183294", SHANGHAI), ("LSVAU2180N2183295", BEIJING)):
            asked = await entrance.car(vehicle)
            await DeviceCode.filter(vehicle_id=vehicle).update(state="APPROVED", owner_id=owner_id)
            form = {"client_id": "car", "device_code": asked["device_code"], "location": place}
            answer = await entrance.token(DEVICE_GRANT, **form)
            if place == SHANGHAI:
                assert answer.status_code == 200, answer.text
            else:
                assert error_of(answer) == (400, "access_denied")
                assert error_of(await entrance.token(DEVICE_GRANT, **form)) == (400, "access_denied")
        assert [each for each, _ in await lines(owner_id)] == ["SIGNED_IN", "SIGNED_IN", "REFUSED"]


class TestLocks:
    async def test_a_partner_whose_proofs_fail_is_locked(self, entrance: Entrance, partner: Partner) -> None:
        other = await create_partner(entrance)
        for _ in range(20):
            await partner.ask(partner.assertion(key=other.key))
        assert error_of(await partner.ask()) == (429, "temporarily_unavailable")
        assert (await other.ask()).status_code == 200
        rows = await SignInRecord.filter(kind=SignInKind.FAILED)
        assert {row.reason for row in rows} == {"CLIENT_REFUSED"}
        lock = await SignInLock.get(display=partner.client_id)
        assert lock.failures == 20
        (event,) = await Event.filter(stream=ALERTS)
        assert event.payload == {"kind": "SIGN_IN_LOCK", "id": str(lock.id)}

    async def test_an_address_that_guesses_is_locked_for_everybody_there(self, entrance: Entrance) -> None:
        form = {"client_id": "mini-program", "refresh_token": "yrt_guess"}
        answers = [await entrance.token("refresh_token", **form) for _ in range(100)]
        assert {error_of(each) for each in answers} == {(400, "invalid_grant")}
        assert error_of(await try_in(entrance)) == (429, "temporarily_unavailable")
        assert await OAuthSession.all().count() == 0


class TestAudit:
    async def test_the_owner_sees_what_happened_and_staff_with_the_role_do(self, entrance: Entrance) -> None:
        given = await entrance.sign_in(USER, device_id="phone-1", device_name="iPhone 17", location=SHANGHAI)
        await entrance.refresh(given["refresh_token"])
        await entrance.refresh(given["refresh_token"])
        second = await entrance.sign_in(USER, device_id="phone-1", device_name="iPhone 17")
        (edges,) = ((await entrance.ask(second["access_token"], SIGN_INS))["viewer"]["signIns"]["edges"],)
        nodes = [each["node"] for each in edges]
        assert [node["kind"] for node in nodes] == ["SIGNED_IN", "TOKEN_REUSED", "SIGNED_IN"]
        assert nodes[-1] == {
            "kind": "SIGNED_IN",
            "reason": None,
            "signals": [],
            "deviceName": "iPhone 17",
            "network": "127.0.0.0/16",
            "place": "上海",
            "clientName": "油卡小程序",
        }
        assert nodes[1]["reason"] == "REFRESH_TOKEN_REUSED"
        await entrance.form("revoke", client_id="mini-program", token=second["refresh_token"])
        session = await OAuthSession.all().order_by("-id").first()
        assert session is not None
        assert (await lines(session.owner_id))[-1] == ("SIGNED_OUT", "SIGNED_OUT")

    async def test_staff_with_the_role_read_it(self, entrance: Entrance) -> None:
        await entrance.sign_in(USER)
        session = await OAuthSession.get()
        profile = str(global_id("Profile", session.owner_id))
        for role, sees in ((StaffRole.AUDITOR, True), (StaffRole.RISK, True), (StaffRole.SUPPORT, False)):
            member = await create_staff(role)
            token = entrance.tokens.issue(
                user_id=member.id, client_id=STAFF_CLIENT_ID, scopes=frozenset({STAFF_SCOPE}), now=utc_now()
            )
            body = (await entrance.post(token, AUDIT, id=profile)).json()
            if sees:
                assert body["data"]["signIns"]["edges"] == [{"node": {"kind": "SIGNED_IN"}}]
                nobody = await entrance.ask(token, AUDIT, id="nonsense")
                assert nobody["signIns"]["edges"] == []
                look = await StaffAction.all().order_by("-position").first()
                assert look is not None
                assert (look.action, look.object_id) == ("signIns", str(session.owner_id))
            else:
                assert body["errors"][0]["extensions"]["code"] == "FORBIDDEN"

    async def test_failures_of_nobody_are_written_down(self, entrance: Entrance) -> None:
        answer = await entrance.token(
            MINI_PROGRAM_GRANT, code="no-such-code", device_name="x" * 64, client_id="\x1b[2J"
        )
        assert answer.status_code in {400, 401}
        await entrance.token(MINI_PROGRAM_GRANT, code="no-such-code")
        rows = await SignInRecord.all().order_by("id")
        assert [(row.kind, row.owner_id, row.client_id) for row in rows] == [
            (SignInKind.FAILED, None, ""),
            (SignInKind.FAILED, None, "mini-program"),
        ]
