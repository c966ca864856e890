"""Cars (RFC 8628): a code that is approved in the mini-program, whose token is given out once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from domain.access.devices import SLOWER_BY_S
from kernel.clock import utc_now
from kernel.states import DeviceCodeState
from models.access import DeviceCode, OAuthSession
from tests.access.conftest import HOUR, Entrance, error_of, trace, tries

FIELDS = "userCode clientName deviceName vehicleId scopes"
DEVICE = f"query ($code: String!) {{ device(userCode: $code) {{ {FIELDS} }} }}"
DECIDE = """
mutation ($code: String!) {
  answer: %sDevice(input: { userCode: $code }) {
    __typename
    ... on DeviceSuccess { device { vehicleId } }
    ... on UserError { code message }
    ... on LimitReached { maximum }
  }
}"""
APPROVE, DENY = DECIDE % "approve", DECIDE % "deny"
VEHICLE = "LSVAU2180N2183294"


async def approved(entrance: Entrance, user: str = "a") -> tuple[Any, str]:
    """Return a device that somebody has approved, and their token."""
    asked, token = await entrance.car(VEHICLE), (await entrance.sign_in(user))["access_token"]
    answer = await entrance.ask(token, APPROVE, code=asked["user_code"])
    assert answer["answer"]["__typename"] == "DeviceSuccess"
    return asked, token


class TestApproval:
    async def test_the_token_is_bound_to_the_vehicle(self, entrance: Entrance) -> None:
        asked = await entrance.car(VEHICLE, device_name="蔚来 ET5")
        assert error_of(await entrance.poll(asked["device_code"])) == (400, "authorization_pending")
        token = (await entrance.sign_in("a"))["access_token"]
        typed = asked["user_code"].lower().replace("-", " ")
        assert (await entrance.ask(token, DEVICE, code=typed))["device"] == {
            "userCode": asked["user_code"],
            "clientName": "车机语音充值",
            "deviceName": "蔚来 ET5",
            "vehicleId": VEHICLE,
            "scopes": ["recharge:voice"],
        }
        answer = (await entrance.ask(token, APPROVE, code=typed))["answer"]
        assert answer == {"__typename": "DeviceSuccess", "device": {"vehicleId": VEHICLE}}
        given = (await entrance.poll(asked["device_code"])).json()
        viewer = entrance.tokens.authenticate(given["access_token"], now=utc_now())
        assert (viewer.vehicle_id, viewer.scopes, viewer.client_id) == (VEHICLE, frozenset({"recharge:voice"}), "car")
        assert viewer.user_id == entrance.tokens.authenticate(token, now=utc_now()).user_id
        renewed = (await entrance.refresh(given["refresh_token"], client_id="car")).json()
        assert entrance.tokens.authenticate(renewed["access_token"], now=utc_now()).vehicle_id == VEHICLE

    async def test_what_the_device_shows(self, entrance: Entrance) -> None:
        asked = await entrance.car(VEHICLE)
        assert asked["verification_uri_complete"] == f"{asked['verification_uri']}?user_code={asked['user_code']}"
        assert (asked["expires_in"], asked["interval"]) == (600, 1)
        image = await entrance.http.get(asked["verification_qr_uri"])
        assert image.headers["content-type"] == "image/svg+xml"
        assert ElementTree.fromstring(image.content).tag.endswith("svg")  # noqa: S314 -- our own image.
        page = await entrance.http.get(asked["verification_uri_complete"])
        assert asked["user_code"] in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert (await entrance.http.get("/oauth/device/qr.svg?user_code=<script>")).status_code == 404
        assert "<script" not in (await entrance.http.get("/device?user_code=<script>")).text

    async def test_of_five_polls_at_once_one_gets_the_token(self, entrance: Entrance) -> None:
        asked, _ = await approved(entrance)
        answers = await asyncio.gather(*(entrance.poll(asked["device_code"]) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]
        refusals = {answer.json()["error"] for answer in answers if answer.status_code == 400}
        assert refusals == {"invalid_grant"}
        assert await OAuthSession.filter(client_id="car").count() == 1

    async def test_a_code_is_good_once(self, entrance: Entrance) -> None:
        asked, token = await approved(entrance)
        given = (await entrance.poll(asked["device_code"])).json()
        before = await trace()
        assert error_of(await entrance.poll(asked["device_code"])) == (400, "invalid_grant")
        again = await entrance.ask(token, APPROVE, code=asked["user_code"])
        assert again["answer"]["code"] == "USER_CODE_UNKNOWN"
        assert await trace() == before
        assert await entrance.is_let_in(given["access_token"])

    async def test_a_denied_device_learns_it(self, entrance: Entrance) -> None:
        asked, token = await entrance.car(VEHICLE), (await entrance.sign_in("a"))["access_token"]
        await entrance.ask(token, DENY, code=asked["user_code"])
        before = await trace()
        assert error_of(await entrance.poll(asked["device_code"])) == (400, "access_denied")
        assert (await entrance.ask(token, APPROVE, code=asked["user_code"]))["answer"]["code"] == "USER_CODE_UNKNOWN"
        assert await trace() == before

    async def test_two_users_decide_once(self, entrance: Entrance) -> None:
        asked = await entrance.car(VEHICLE)
        tokens = [(await entrance.sign_in(user))["access_token"] for user in "ab"]
        answers = await asyncio.gather(*(entrance.ask(token, APPROVE, code=asked["user_code"]) for token in tokens))
        kinds = sorted(answer["answer"]["__typename"] for answer in answers)
        assert kinds == ["DeviceSuccess", "NotFound"]


class TestRefusals:
    async def test_who_polls_too_fast_has_to_slow_down(self, entrance: Entrance) -> None:
        asked = await entrance.car(VEHICLE)
        assert error_of(await entrance.poll(asked["device_code"])) == (400, "authorization_pending")
        await DeviceCode.all().update(polled_at=utc_now())
        assert error_of(await entrance.poll(asked["device_code"])) == (400, "slow_down")
        row = await DeviceCode.get()
        assert row.interval_s == asked["interval"] + SLOWER_BY_S
        await DeviceCode.all().update(polled_at=utc_now() - timedelta(seconds=row.interval_s + 1))
        assert error_of(await entrance.poll(asked["device_code"])) == (400, "authorization_pending")

    async def test_an_expired_code(self, entrance: Entrance) -> None:
        asked, token = await entrance.car(VEHICLE), (await entrance.sign_in("a"))["access_token"]
        await DeviceCode.all().update(expires_at=utc_now() - HOUR)
        assert (await entrance.ask(token, APPROVE, code=asked["user_code"]))["answer"]["code"] == "USER_CODE_UNKNOWN"
        assert error_of(await entrance.poll(asked["device_code"])) == (400, "expired_token")
        assert (await DeviceCode.get()).state is DeviceCodeState.PENDING

    async def test_another_clients_code(self, entrance: Entrance) -> None:
        asked, _ = await approved(entrance)
        before = await trace()
        assert error_of(await entrance.poll("ydc_nonsense")) == (400, "invalid_grant")
        refused = await entrance.poll(asked["device_code"], client_id="mini-program")
        assert error_of(refused) == (400, "unauthorized_client")
        assert await trace() == before

    @pytest.mark.parametrize(
        ("form", "error"),
        [
            ({"vehicle_id": "x"}, "invalid_request"),
            ({"vehicle_id": "LSVAU2180N2183294'--"}, "invalid_request"),
            ({}, "invalid_request"),
            ({"vehicle_id": VEHICLE, "scope": "recharge"}, "invalid_scope"),
            ({"vehicle_id": VEHICLE, "device_name": "x" * 65}, "invalid_request"),
            ({"vehicle_id": VEHICLE, "client_id": "mini-program"}, "unauthorized_client"),
        ],
    )
    async def test_a_request_that_is_not_good(self, entrance: Entrance, form: dict[str, str], error: str) -> None:
        answer = await entrance.form("device_authorization", **{"client_id": "car", **form})
        assert error_of(answer) == (400, error)
        assert await DeviceCode.all().count() == 0

    async def test_codes_cannot_be_guessed(self, entrance: Entrance) -> None:
        asked, token = await entrance.car(VEHICLE), (await entrance.sign_in("a"))["access_token"]
        maximum = entrance.settings.user_code_attempts_max
        wrong = [entrance.ask(token, APPROVE, code="BBBB-BBBB") for _ in range(maximum + 3)]
        codes = [answer["answer"]["code"] for answer in await asyncio.gather(*wrong)]
        assert sorted(codes) == ["TOO_MANY_ATTEMPTS"] * 3 + ["USER_CODE_UNKNOWN"] * maximum
        answer = (await entrance.ask(token, APPROVE, code=asked["user_code"]))["answer"]
        assert (answer["code"], answer["maximum"]) == ("TOO_MANY_ATTEMPTS", maximum)
        assert (await DeviceCode.get()).state is DeviceCodeState.PENDING
        assert await tries() == maximum
        # Somebody else is not kept from theirs.
        other = (await entrance.sign_in("b"))["access_token"]
        answer = await entrance.ask(other, APPROVE, code=asked["user_code"])
        assert answer["answer"]["__typename"] == "DeviceSuccess"

    async def test_a_car_lets_no_other_car_in(self, entrance: Entrance) -> None:
        first, _ = await approved(entrance)
        car = (await entrance.poll(first["device_code"])).json()["access_token"]
        second = await entrance.car(VEHICLE)
        answer = await entrance.ask(car, APPROVE, code=second["user_code"])
        assert (answer["answer"]["__typename"], answer["answer"]["code"]) == ("Forbidden", "FORBIDDEN")
        assert await DeviceCode.filter(state=DeviceCodeState.PENDING).count() == 1
