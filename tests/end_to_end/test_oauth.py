"""Each way in, over real HTTP, with clients that had no part in making the server: authlib's and PyJWT."""

from __future__ import annotations

import asyncio
import html
import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import websockets
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc.jwk import RSAKey
from websockets.typing import Subprotocol

from domain.access import totp
from domain.access.rules import DEVICE_GRANT, MINI_PROGRAM_GRANT
from kernel.clock import utc_now
from tests.house_process import RunningHouse
from tests.sandbox_fixtures import Sandbox

VEHICLE = "LSVAU2180N2183294"
APPROVE = "mutation ($code: String!) { approveDevice(input: { userCode: $code }) { __typename } }"
END_ALL = """
mutation { endAllSessions(input: { keepCurrent: false }) { ... on EndAllSessionsSuccess { endedCount } } }"""
WITHIN_S = 90


class Outside:
    """What somebody knows of the server who has its address alone."""

    def __init__(self, house: RunningHouse) -> None:
        self.house = house
        metadata = httpx.get(f"{house.url}/.well-known/oauth-authorization-server", trust_env=False)
        self.metadata = AuthorizationServerMetadata(metadata.json())
        self.keys = jwt.PyJWKSet.from_dict(httpx.get(self.metadata["jwks_uri"], trust_env=False).json())

    def client(self, client_id: str, **options: Any) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            client_id, token_endpoint=self.metadata["token_endpoint"], trust_env=False, timeout=WITHIN_S, **options
        )

    def claims(self, token: str) -> Any:
        """Verify a token as a resource server of somebody else would."""
        header = jwt.get_unverified_header(token)
        assert header["typ"] == "at+jwt"
        (key,) = [each for each in self.keys.keys if each.key_id == header["kid"]]
        return jwt.decode(
            token,
            key,
            algorithms=["ES256"],
            audience="youka-graphql",
            issuer=self.metadata["issuer"],
            options={"require": ["exp", "iat", "sub", "aud", "iss", "client_id", "jti"]},
        )


async def test_metadata_tells_where_everything_is(house: RunningHouse) -> None:
    outside = Outside(house)
    assert outside.metadata["issuer"] == house.url
    # RFC 8414 wants https; a development server on loopback has none.
    secure = {
        name: value.replace("http://", "https://") if isinstance(value, str) else value
        for name, value in outside.metadata.items()
    }
    AuthorizationServerMetadata(secure).validate()


async def test_the_mini_program_signs_in_and_out_everywhere(house: RunningHouse, sandbox: Sandbox) -> None:
    outside = Outside(house)
    async with outside.client("mini-program", token_endpoint_auth_method="none") as client:
        url = outside.metadata["token_endpoint"]
        first = await client.fetch_token(url, grant_type=MINI_PROGRAM_GRANT, code=sandbox.login_code("a"))
        claims = outside.claims(first["access_token"])
        assert claims["exp"] - claims["iat"] == 900
        renewed = await client.refresh_token(url, refresh_token=first["refresh_token"])
    assert outside.claims(renewed["access_token"])["sid"] == claims["sid"]
    address = f"ws{house.url.removeprefix('http')}/graphql"
    async with websockets.connect(
        address, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None, open_timeout=WITHIN_S
    ) as socket:
        authorization = f"Bearer {renewed['access_token']}"
        await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": authorization}}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        status, body = await asyncio.to_thread(house.ask, END_ALL, token=renewed["access_token"])
        assert (status, body["data"]["endAllSessions"]["endedCount"]) == (200, 1)
        async with asyncio.timeout(WITHIN_S):
            await socket.wait_closed()
        assert (socket.close_code, socket.close_reason) == (4403, "SESSION_ENDED")
    assert house.ask("{ viewer { profile { id } } }", token=renewed["access_token"])[0] == 401


async def test_a_car_polls_until_it_is_approved(house: RunningHouse) -> None:
    outside = Outside(house)
    driver = await asyncio.to_thread(house.token, "driver")
    async with httpx.AsyncClient(trust_env=False, timeout=WITHIN_S) as http:
        form = {"client_id": "car", "scope": "recharge:voice", "vehicle_id": VEHICLE}
        asked = (await http.post(outside.metadata["device_authorization_endpoint"], data=form)).json()
        polling = {"grant_type": DEVICE_GRANT, "device_code": asked["device_code"], "client_id": "car"}
        pending = await http.post(outside.metadata["token_endpoint"], data=polling)
        assert pending.json()["error"] == "authorization_pending"
        _, body = await asyncio.to_thread(house.ask, APPROVE, {"code": asked["user_code"]}, token=driver)
        assert body["data"]["approveDevice"]["__typename"] == "DeviceSuccess"
        answers = await asyncio.gather(*(http.post(outside.metadata["token_endpoint"], data=polling) for _ in range(5)))
    given = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(given) == 1
    claims = outside.claims(given[0]["access_token"])
    assert (claims["vehicle"], claims["scope"]) == (VEHICLE, "recharge:voice")
    assert claims["sub"] == outside.claims(driver)["sub"]


async def test_a_partner_signs_in_with_its_private_key(house: RunningHouse, tmp_path: Path) -> None:
    outside, key = Outside(house), RSAKey.generate_key(2048)
    public = tmp_path / "key.json"
    public.write_text(json.dumps(key.as_dict(private=False)))
    added = await asyncio.to_thread(
        house.client, "jobs", "client", "add", "fleet", "--name", "车队", "--key", str(public), "--scope", "webhooks"
    )
    assert added.returncode == 0, added.stderr
    method = PrivateKeyJWT(outside.metadata["token_endpoint"])
    pem = key.as_pem(private=True).decode()
    async with outside.client("fleet", client_secret=pem, token_endpoint_auth_method=method) as client:
        given = await client.fetch_token(outside.metadata["token_endpoint"], grant_type="client_credentials")
        introspected = await client.introspect_token(
            outside.metadata["introspection_endpoint"], token=given["access_token"]
        )
    claims = outside.claims(given["access_token"])
    assert (claims["client_id"], claims["scope"], claims["tenant"]) == ("fleet", "webhooks", "live")
    assert introspected.json()["active"] is True
    status, body = house.ask("{ webhooks { edges { node { id } } } }", token=given["access_token"])
    assert (status, body["data"]["webhooks"]["edges"]) == (200, [])


async def test_staff_sign_in_with_a_second_factor(house: RunningHouse) -> None:
    house.server.stop()
    house.server._environment["YOUKA_STAFF_REDIRECT_URIS"] = '["http://127.0.0.1/callback"]'
    house.server.start()
    await asyncio.to_thread(house.wait_until_ready)
    for command in (("add-staff", "王小明", "--role", "AUDITOR"), ("enrol-staff", "王小明")):
        done = await asyncio.to_thread(house.client, "jobs", *command)
        assert done.returncode == 0, done.stderr
    (password,) = re.findall(r"password: (\S+)", done.stdout)
    (uri,) = re.findall(r"(otpauth://\S+)", done.stdout)
    secret = parse_qs(urlsplit(uri).query)["secret"][0]
    outside, back = Outside(house), "http://127.0.0.1:43210/callback"
    async with outside.client(
        "staff", token_endpoint_auth_method="none", redirect_uri=back, code_challenge_method="S256"
    ) as client:
        verifier = "a-verifier-of-at-least-forty-three-characters"
        link, state = client.create_authorization_url(
            outside.metadata["authorization_endpoint"], code_verifier=verifier
        )
        async with httpx.AsyncClient(trust_env=False, timeout=WITHIN_S) as browser:
            page = await browser.get(link)
            (ticket,) = re.findall(r'name="ticket" value="([^"]+)"', page.text)
            code = totp.code_at(secret, totp.step_of(utc_now()))
            form = {"ticket": html.unescape(ticket), "name": "王小明", "password": password, "code": code}
            sent_back = await browser.post(outside.metadata["authorization_endpoint"], data=form)
        assert sent_back.status_code == 303, sent_back.text
        given = await client.fetch_token(
            outside.metadata["token_endpoint"],
            authorization_response=sent_back.headers["location"],
            state=state,
            code_verifier=verifier,
        )
    assert outside.claims(given["access_token"])["scope"] == "staff"
    status, body = house.ask("{ reviews { edges { node { id } } } }", token=given["access_token"])
    assert (status, body["data"]["reviews"]["edges"]) == (200, [])
    written = house.server.log.read_text(errors="replace")
    for each in (password, secret, given["access_token"], given["refresh_token"]):
        assert each not in written


async def test_keys_rotate_under_a_running_server(house: RunningHouse) -> None:
    outside = Outside(house)
    token = await asyncio.to_thread(house.token)
    done = await asyncio.to_thread(house.client, "jobs", "signing-keys", "rotate")
    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + WITHIN_S
    while len(Outside(house).keys.keys) < 2:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    listed = await asyncio.to_thread(house.client, "jobs", "signing-keys", "list")
    assert [line.split()[1] for line in listed.stdout.splitlines()] == ["next", "current"]
    assert outside.claims(token)["client_id"] == "mini-program"
    assert house.ask("{ viewer { profile { id } } }", token=token)[0] == 200
