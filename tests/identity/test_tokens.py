"""Access tokens: what another library reads, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from domain.identity.tokens import SessionEnded, SigningKey, TokenAuthority, TokenExpired, TokenRefused
from kernel.clock import utc_now
from kernel.ids import new_id

KEY = ECKey.generate_key("P-256")
USER = new_id()
SCOPES = frozenset({"recharge", "profile"})


def authority(**changes: Any) -> TokenAuthority:
    settings: dict[str, Any] = {
        "key": KEY,
        "issuer": "youka",
        "audience": "youka-graphql",
        "lifetime": timedelta(hours=1),
    }
    return TokenAuthority(**(settings | changes))


def issue(**changes: Any) -> str:
    return authority(**changes).issue(user_id=USER, client_id="mini-program", scopes=SCOPES, now=utc_now())


def test_a_token_names_its_user() -> None:
    viewer = authority().authenticate(issue(), now=utc_now())
    assert (viewer.user_id, viewer.client_id, viewer.scopes) == (USER, "mini-program", SCOPES)
    assert timedelta(minutes=59) < viewer.expires_at - utc_now() <= timedelta(hours=1)


def test_the_published_keys_verify_it_and_hold_no_secret() -> None:
    document = authority().key_set()
    assert "d" not in document["keys"][0]
    decoded = jwt.decode(issue(), KeySet.import_key_set(document), algorithms=["ES256"])  # type: ignore[arg-type]
    assert decoded.header["typ"] == "at+jwt"
    assert decoded.claims["sub"] == str(USER)


def test_an_expired_token_says_so() -> None:
    with pytest.raises(TokenExpired):
        authority().authenticate(issue(), now=utc_now() + timedelta(hours=2))


def _altered(token: str, **header: Any) -> str:
    parts = token.split(".")
    decoded = json.loads(base64.urlsafe_b64decode(parts[0] + "==")) | header
    parts[0] = base64.urlsafe_b64encode(json.dumps(decoded).encode()).decode().rstrip("=")
    return ".".join(parts)


def _signed(claims: dict[str, Any], *, typ: str = "at+jwt") -> str:
    return jwt.encode({"alg": "ES256", "typ": typ}, claims, KEY)


NOW = int(utc_now().timestamp())
GOOD: dict[str, Any] = {
    "iss": "youka",
    "aud": "youka-graphql",
    "sub": str(USER),
    "client_id": "c",
    "scope": "recharge",
    "iat": NOW,
    "exp": NOW + 3600,
}


def _confused() -> str:
    """Return a token whose HMAC key is our public key, as a confused verifier would accept it."""
    parts = [{"alg": "HS256", "typ": "at+jwt"}, GOOD]
    signed = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    mac = hmac.new(KEY.as_pem(private=False), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "." * 10,
        "é" * 100,
        "A" * 10_000,
        issue(key=ECKey.generate_key("P-256")),
        issue(issuer="somebody-else"),
        issue(audience="another-service"),
        _altered(issue(), alg="none"),
        _altered(issue(), alg="none").rsplit(".", 1)[0] + ".",
        _altered(issue(), alg="HS256"),
        _confused(),
        _signed(GOOD, typ="JWT"),
        *(_signed({name: value for name, value in GOOD.items() if name != missing}) for missing in GOOD),
        _signed(GOOD | {"sub": "not-a-uuid"}),
        _signed(GOOD | {"iat": NOW + 3600}),
        _signed(GOOD | {"exp": "soon"}),
    ],
)
def test_foreign_forged_and_incomplete_tokens_are_refused(token: str) -> None:
    with pytest.raises(TokenRefused):
        authority().authenticate(token, now=utc_now())


class TestVerifiedBefore:
    """A signature is checked once, and everything else about a token as often as it comes."""

    @pytest.fixture
    def checked(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The tokens whose signatures were checked."""
        found: list[str] = []
        decode = jwt.decode

        def noting(token: str, *arguments: Any, **options: Any) -> Any:
            found.append(token)
            return decode(token, *arguments, **options)

        monkeypatch.setattr(jwt, "decode", noting)
        return found

    def test_it_is_not_checked_again(self, checked: list[str]) -> None:
        tokens, token = authority(), issue()
        first = tokens.authenticate(token, now=utc_now())
        assert tokens.authenticate(token, now=utc_now()) == first == tokens.known(token, now=utc_now())
        assert len(checked) == 1

    def test_another_one_is(self, checked: list[str]) -> None:
        tokens, token = authority(), issue()
        tokens.authenticate(token, now=utc_now())
        other = token[:-3] + ("AAA" if token[-3:] != "AAA" else "BBB")
        for _ in range(2):
            with pytest.raises(TokenRefused):
                tokens.authenticate(other, now=utc_now())
        assert len(checked) == 3
        assert tokens.known(other, now=utc_now()) is None

    def test_it_expires(self, checked: list[str]) -> None:
        tokens, token, now = authority(), issue(), utc_now()
        tokens.authenticate(token, now=now)
        with pytest.raises(TokenExpired):
            tokens.authenticate(token, now=now + timedelta(hours=2))
        # Nor is it good before it was issued, if the clock is put back.
        tokens.authenticate(token, now=now)
        with pytest.raises(TokenRefused):
            tokens.authenticate(token, now=now - timedelta(minutes=1))
        assert len(checked) == 4

    def test_it_ends_with_its_session(self) -> None:
        tokens, session, now = authority(), new_id(), utc_now()
        token = tokens.issue(user_id=USER, client_id="c", scopes=SCOPES, now=now, session_id=session)
        tokens.authenticate(token, now=now)
        tokens.revocations.add(session, until=now + timedelta(hours=1), now=now)
        with pytest.raises(SessionEnded):
            tokens.authenticate(token, now=now)
        with pytest.raises(SessionEnded):
            tokens.known(token, now=now)

    def test_it_ends_with_its_key(self, checked: list[str]) -> None:
        tokens, token, now = authority(), issue(), utc_now()
        until = now + timedelta(minutes=1)
        tokens.use([SigningKey(KEY, expires_at=until)])
        tokens.authenticate(token, now=now)
        # The same keys once more are no news.
        tokens.use([SigningKey(KEY, expires_at=until)])
        tokens.authenticate(token, now=now)
        assert len(checked) == 1
        with pytest.raises(TokenRefused):
            tokens.authenticate(token, now=until)
        tokens.authenticate(token, now=now)
        tokens.use([SigningKey(ECKey.generate_key("P-256"))])
        with pytest.raises(TokenRefused):
            tokens.authenticate(token, now=now)

    def test_one_that_names_no_key_is_checked_each_time(self, checked: list[str]) -> None:
        tokens, token = authority(), _signed(GOOD)
        for _ in range(2):
            tokens.authenticate(token, now=utc_now())
        assert len(checked) == 2

    def test_those_unused_for_longest_are_forgotten(self, checked: list[str]) -> None:
        tokens, (one, two, three) = authority(kept_max=2), (issue() for _ in range(3))
        for token in (one, two, one, three, one):
            tokens.authenticate(token, now=utc_now())
        assert checked == [one, two, three]
        tokens.authenticate(two, now=utc_now())
        assert checked[-1] == two

    def test_none_may_be_kept(self, checked: list[str]) -> None:
        tokens, token = authority(kept_max=0), issue()
        for _ in range(2):
            tokens.authenticate(token, now=utc_now())
        assert len(checked) == 2
