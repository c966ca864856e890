"""Partners: clients that prove who they are by a private key, or by a secret in the sandbox tenant."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from domain.access import clients
from domain.access.assertions import ASSERTION_TYPE
from domain.access.clients import ClientIdTaken, SecretNotForLive, Terms
from domain.access.policy import Policy
from domain.access.rules import ScopeRefused
from kernel.clock import utc_now
from kernel.states import ClientKind
from models.access import AssertionSeen, ClientKey, OAuthClient
from tests.access.conftest import HOUR, WHO, Entrance, Partner, create_partner, error_of, public_text, trace

ROTATE = """
mutation ($key: String!) {
  answer: rotateClientKey(input: { publicKey: $key }) {
    __typename
    ... on RotateClientKeySuccess { keyId previousUntil }
    ... on UserError { code }
  }
}"""


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def refused(answer: httpx.Response) -> None:
    """Nothing was given out, nothing was written down, and the answer says nothing of why."""
    assert error_of(answer) == (401, "invalid_client")
    assert "access_token" not in answer.text
    assert await AssertionSeen.all().count() == 0


NO_PUBLIC_KEYS = [
    "nothing",
    "null",
    "a list",
    "no members",
    "no JSON",
    "a private key",
    "another curve",
    "a short RSA key",
    "a secret",
    "no point",
    "half a point",
    "too long",
]


class TestPrivateKeys:
    async def test_a_partner_gets_a_token_of_its_own_account(self, partner: Partner) -> None:
        answer = (await partner.ask()).json()
        assert (answer["scope"], answer["expires_in"]) == ("recharge webhooks", 900)
        assert "refresh_token" not in answer
        viewer = partner.entrance.tokens.authenticate(answer["access_token"], now=utc_now())
        client = await OAuthClient.get(client_id=partner.client_id)
        assert (viewer.user_id, viewer.client_id) == (client.account_id, partner.client_id)
        assert (await partner.entrance.ask(answer["access_token"], WHO))["viewer"] is not None

    async def test_scopes_that_it_may_not_have(self, partner: Partner) -> None:
        for scope in ("staff", "cards", "webhooks staff"):
            assert error_of(await partner.ask(scope=scope)) == (400, "invalid_scope")
        assert (await partner.ask(scope="webhooks")).json()["scope"] == "webhooks"

    async def test_keys_of_each_kind(self, entrance: Entrance) -> None:
        key = RSAKey.generate_key(2048)
        partner = await create_partner(entrance, public_key=json.dumps(key.as_dict(private=False)))
        for algorithm in ("PS256", "RS256"):
            header = {"alg": algorithm, "kid": key.thumbprint()}
            assert (await partner.ask(partner.assertion(key=key, header=header))).status_code == 200

    @pytest.mark.parametrize("audience", ["", "/oauth/token"])
    async def test_the_issuer_and_the_endpoint_are_audiences(self, partner: Partner, audience: str) -> None:
        issuer = partner.entrance.settings.issuer
        assert (await partner.ask(partner.assertion(aud=f"{issuer}{audience}"))).status_code == 200
        assert (await partner.ask(partner.assertion(aud=[f"{issuer}{audience}"]))).status_code == 200


class TestForgeries:
    async def test_an_assertion_is_good_once(self, partner: Partner) -> None:
        assertion = partner.assertion()
        answers = await asyncio.gather(*(partner.ask(assertion) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]
        assert error_of(await partner.ask(assertion)) == (401, "invalid_client")
        assert await AssertionSeen.all().count() == 1

    @pytest.mark.parametrize(
        "claims",
        [
            {"exp": -60},
            {"exp": None},
            {"exp": 7_200},
            {"aud": "https://somebody.else/oauth/token"},
            {"aud": None},
            {"iss": "somebody-else"},
            {"iss": None},
            {"sub": "somebody-else"},
            {"jti": None},
            {"jti": ""},
            {"jti": "x" * 257},
            {"nbf": 600},
        ],
    )
    async def test_wrong_claims(self, partner: Partner, claims: dict[str, Any]) -> None:
        now = int(utc_now().timestamp())
        given: dict[str, Any] = {
            name: now + value if isinstance(value, int) else value for name, value in claims.items()
        }
        await refused(await partner.ask(partner.assertion(**given)))

    async def test_another_key(self, partner: Partner) -> None:
        await refused(await partner.ask(partner.assertion(key=ECKey.generate_key("P-256"))))
        header = {"alg": "ES256", "kid": "unknown"}
        await refused(await partner.ask(partner.assertion(header=header)))

    async def test_no_algorithm_and_a_confused_one(self, partner: Partner) -> None:
        payload = partner.assertion().split(".")[1]
        unsigned = f"{_part({'alg': 'none'})}.{payload}."
        await refused(await partner.ask(unsigned))
        # The public key as the key of a MAC is what a confused verifier takes.
        for secret in (partner.key.as_pem(private=False), public_text(partner.key).encode()):
            signed = f"{_part({'alg': 'HS256'})}.{payload}"
            mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
            await refused(await partner.ask(f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"))

    @pytest.mark.parametrize("assertion", ["x", "a.b.c", "....", "é", "A" * 9_000, f"{_part({})}.{_part([])}.x"])
    async def test_nonsense(self, partner: Partner, assertion: str) -> None:
        await refused(await partner.ask(assertion))

    async def test_another_partners_assertion_does_not_speak_for_this_one(self, partner: Partner) -> None:
        other = await create_partner(partner.entrance)
        await refused(await partner.ask(other.assertion(), client_id=partner.client_id))
        await refused(await partner.ask(partner.assertion(key=other.key)))

    async def test_ways_of_proving_are_not_mixed(self, partner: Partner) -> None:
        await refused(await partner.ask(client_secret="secret"))
        form = {"grant_type": "client_credentials", "client_id": partner.client_id}
        await refused(await partner.entrance.form("token", **form))
        await refused(await partner.entrance.form("token", **form, client_secret=""))
        await refused(await partner.entrance.form("token", **form, client_assertion=partner.assertion()))


class TestTenants:
    async def test_a_sandbox_client_has_a_secret(self, entrance: Entrance) -> None:
        terms = Terms("sandboxed", "测试", ClientKind.PARTNER, frozenset({"webhooks"}), sandbox=True)
        _, secret = await clients.add(terms=terms, now=utc_now())
        assert secret is not None
        form = {"grant_type": "client_credentials", "client_id": "sandboxed", "client_secret": secret}
        assert (await entrance.form("token", **form)).status_code == 200
        basic = await entrance.http.post(
            "/oauth/token", data={"grant_type": "client_credentials"}, auth=("sandboxed", secret)
        )
        assert basic.status_code == 200
        await refused(await entrance.form("token", **{**form, "client_secret": secret + "x"}))
        # The secret itself is nowhere.
        assert secret not in str(await OAuthClient.all().values())

    async def test_old_and_new_secrets_overlap(self, entrance: Entrance) -> None:
        terms = Terms("sandboxed", "测试", ClientKind.PARTNER, frozenset({"webhooks"}), sandbox=True)
        _, old = await clients.add(terms=terms, now=utc_now())
        new = await clients.rotate_secret(client_id="sandboxed", policy=entrance.policy, now=utc_now())
        form = {"grant_type": "client_credentials", "client_id": "sandboxed"}
        for secret in (str(old), new):
            assert (await entrance.form("token", **form, client_secret=secret)).status_code == 200
        await OAuthClient.filter(client_id="sandboxed").update(previous_secret_until=utc_now() - HOUR)
        await refused(await entrance.form("token", **form, client_secret=str(old)))

    async def test_where_money_is_real_the_sandbox_tenant_is_not_served(self, entrance: Entrance) -> None:
        terms = Terms("sandboxed", "测试", ClientKind.PARTNER, frozenset({"webhooks"}), sandbox=True)
        _, secret = await clients.add(terms=terms, now=utc_now())
        live = entrance.settings.model_copy(update={"sandbox_tenant": False})
        with pytest.raises(clients.ClientRefused):
            await clients.authenticate(
                given=clients.Credentials("sandboxed", secret),
                audiences=(),
                policy=Policy.of(live),
                now=utc_now(),
            )

    async def test_a_live_client_has_none(self, entrance: Entrance) -> None:
        before = await OAuthClient.all().count()
        with pytest.raises(SecretNotForLive):
            await clients.add(terms=Terms("p", "p", ClientKind.PARTNER, frozenset({"webhooks"})), now=utc_now())
        with pytest.raises(ClientIdTaken):
            await create_partner(entrance, client_id="mini-program")
        with pytest.raises(ScopeRefused):
            await create_partner(entrance, scopes=frozenset({"staff"}))
        assert await OAuthClient.all().count() == before


class TestKeys:
    async def test_a_partner_rotates_its_own(self, partner: Partner) -> None:
        token, fresh = await partner.token(), ECKey.generate_key("P-256")
        answer = (await partner.entrance.ask(token, ROTATE, key=public_text(fresh)))["answer"]
        assert (answer["__typename"], answer["keyId"]) == ("RotateClientKeySuccess", fresh.thumbprint())
        for key in (partner.key, fresh):
            assert (await partner.ask(partner.assertion(key=key))).status_code == 200
        await ClientKey.filter(kid=partner.key.thumbprint()).update(until=utc_now() - HOUR)
        assert error_of(await partner.ask()) == (401, "invalid_client")
        assert (await partner.ask(partner.assertion(key=fresh))).status_code == 200

    @pytest.mark.parametrize(
        "key",
        [
            "",
            "null",
            "[]",
            "{}",
            "x",
            json.dumps(ECKey.generate_key("P-256").as_dict(private=True)),
            json.dumps(ECKey.generate_key("P-384").as_dict(private=False)),
            json.dumps({"kty": "RSA", "e": "AQAB", "n": base64.urlsafe_b64encode(bytes([255]) * 128).decode()}),
            json.dumps(OctKey.generate_key(256).as_dict(private=True)),
            json.dumps({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
            json.dumps({"kty": "EC", "crv": "P-256"}),
            " " * 5_000,
        ],
        ids=NO_PUBLIC_KEYS,
    )
    async def test_what_is_no_public_key(self, partner: Partner, key: str) -> None:
        token = await partner.token()
        before = await ClientKey.all().order_by("id").values()
        answer = (await partner.entrance.ask(token, ROTATE, key=key))["answer"]
        assert answer == {"__typename": "InvalidClientKey", "code": "CLIENT_KEY_INVALID"}
        assert await ClientKey.all().order_by("id").values() == before

    async def test_only_partners_have_keys(self, entrance: Entrance) -> None:
        token = (await entrance.sign_in("a"))["access_token"]
        answer = (await entrance.ask(token, ROTATE, key=public_text(ECKey.generate_key("P-256"))))["answer"]
        assert answer == {"__typename": "Forbidden", "code": "FORBIDDEN"}
        assert await ClientKey.all().count() == 0


class TestQuotas:
    async def test_an_hour_has_so_many_tokens(self, entrance: Entrance) -> None:
        partner = await create_partner(entrance, tokens_per_hour_max=3)
        answers = await asyncio.gather(*(partner.ask() for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 429, 429]
        (answer, _) = [each for each in answers if each.status_code == 429]
        assert answer.json()["error"] == "temporarily_unavailable"
        assert int(answer.headers["retry-after"]) > 0
        await OAuthClient.filter(client_id=partner.client_id).update(quota_hour=utc_now() - HOUR)
        assert (await partner.ask()).status_code == 200

    async def test_an_address_that_is_refused_too_often_waits(self, entrance: Entrance) -> None:
        for _ in range(entrance.settings.oauth_refusals_per_address_max):
            await entrance.form("token", grant_type="client_credentials", client_id=uuid4().hex)
        partner = await create_partner(entrance)
        assert (await partner.ask()).status_code == 429


class TestIntrospection:
    """RFC 7662."""

    async def ask(self, partner: Partner, token: str) -> httpx.Response:
        audience = f"{partner.entrance.settings.issuer}/oauth/introspect"
        return await partner.entrance.form(
            "introspect",
            token=token,
            client_assertion_type=ASSERTION_TYPE,
            client_assertion=partner.assertion(aud=audience),
        )

    async def test_a_token_of_its_own(self, partner: Partner) -> None:
        token = await partner.token(scope="webhooks")
        said = (await self.ask(partner, token)).json()
        assert (said["active"], said["client_id"], said["scope"]) == (True, partner.client_id, "webhooks")
        assert said["exp"] - said["iat"] == 900

    async def test_a_revoked_one_is_not_active(self, partner: Partner) -> None:
        token = await partner.token()
        form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": partner.assertion()}
        assert (await partner.entrance.form("revoke", token=token, **form)).status_code == 200
        assert (await self.ask(partner, token)).json() == {"active": False}
        assert not await partner.entrance.is_let_in(token)
        assert await partner.entrance.is_let_in(await partner.token())

    async def test_of_others_nothing_is_said(self, partner: Partner) -> None:
        other = await create_partner(partner.entrance)
        user = (await partner.entrance.sign_in("a"))["access_token"]
        for token in (await other.token(), user, "nonsense"):
            assert (await self.ask(partner, token)).json() == {"active": False}
        answer = await partner.entrance.form("introspect", token=user, client_id="mini-program")
        assert error_of(answer) == (401, "invalid_client")

    async def test_a_disabled_client_is_served_no_more(self, partner: Partner) -> None:
        await clients.disable(client_id=partner.client_id, tokens=partner.entrance.tokens, now=utc_now())
        assert error_of(await partner.ask()) == (401, "invalid_client")


class TestForms:
    @pytest.mark.parametrize(
        ("content", "content_type"),
        [
            (b"{}", "application/json"),
            (b"grant_type=a&grant_type=b", "application/x-www-form-urlencoded"),
            (b"grant_type=%FF", "application/x-www-form-urlencoded"),
            (b"grant_type=\xff", "application/x-www-form-urlencoded"),
            (b"grant_type=a&code=%00", "application/x-www-form-urlencoded"),
            (b"&".join(b"a%d=1" % number for number in range(50)), "application/x-www-form-urlencoded"),
            (b"grant_type=" + b"x" * 20_000, "application/x-www-form-urlencoded"),
            (b"", "application/x-www-form-urlencoded"),
        ],
    )
    async def test_what_is_no_form(self, entrance: Entrance, content: bytes, content_type: str) -> None:
        before = await trace()
        answer = await entrance.http.post("/oauth/token", content=content, headers={"content-type": content_type})
        assert error_of(answer) == (400, "invalid_request")
        assert answer.headers["cache-control"] == "no-store"
        assert await trace() == before

    async def test_an_unknown_grant(self, entrance: Entrance) -> None:
        assert error_of(await entrance.token("password")) == (400, "unsupported_grant_type")

    async def test_a_grant_of_another_kind_of_client(self, entrance: Entrance) -> None:
        code = entrance.sandbox.login_code("a")
        answer = await entrance.token("urn:youka:oauth:grant-type:mini-program", code=code, client_id="car")
        assert error_of(answer) == (400, "unauthorized_client")
        assert (await entrance.sign_in("a"))["access_token"]
