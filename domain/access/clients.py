"""Programs that ask for tokens: who they are, how they prove it, and how much they may have."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.access import assertions
from domain.access.assertions import ASSERTION_TYPE, AssertionRefused
from domain.access.policy import Policy
from domain.access.rules import (
    CLIENT_GRANT,
    GRANTS,
    POSSIBLE_SCOPES,
    PUBLIC_KINDS,
    USUAL_SCOPES,
    OAuthRefusal,
    granted,
    hash_of,
    new_secret,
)
from domain.access.sessions import Given, end_those
from domain.identity.staff import STAFF_CLIENT_ID
from domain.identity.tokens import TokenAuthority
from domain.identity.viewer import Viewer
from domain.signins import records
from domain.signins.records import Origin
from kernel.access_states import SignInKind
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.logs import get_logger
from kernel.states import ClientKind, SessionEnd
from models.access import ClientKey, OAuthClient
from models.changes import of_users
from models.database import transactional
from models.identity import User

log = get_logger(__name__)

MINI_PROGRAM_CLIENT_ID = "mini-program"
CAR_CLIENT_ID = "car"
FIRST_PARTY = frozenset({MINI_PROGRAM_CLIENT_ID, CAR_CLIENT_ID, STAFF_CLIENT_ID})
SECRET_PREFIX = "ycs"  # noqa: S105 -- what secrets begin with.
SANDBOX_TENANT, LIVE_TENANT = "sandbox", "live"
CLIENT_ID_LENGTH_MAX = 64


class ClientRefused(OAuthRefusal):
    """Unknown, disabled or unproven: all the same to whoever tries."""

    code, error, status = "CLIENT_REFUSED", "invalid_client", 401
    messages = {"zh-CN": "客户端身份验证失败", "en": "The client is unknown, or has not proved who it is"}


class GrantNotAllowed(OAuthRefusal):
    code, error = "GRANT_NOT_ALLOWED", "unauthorized_client"
    messages = {"zh-CN": "该客户端不能使用此授权方式", "en": "The client may not use this grant"}


class QuotaSpent(OAuthRefusal):
    code, error, status = "QUOTA_SPENT", "temporarily_unavailable", 429
    messages = {"zh-CN": "本小时令牌配额（{maximum}）已用完", "en": "The {maximum} tokens of this hour are spent"}


class ClientIdTaken(YoukaError):
    code = "CLIENT_ID_TAKEN"
    messages = {"zh-CN": "客户端标识已存在", "en": "There is a client of this id already"}


class ClientNotFound(YoukaError):
    code = "CLIENT_NOT_FOUND"
    messages = {"zh-CN": "没有该客户端", "en": "There is no such client"}


class PartnerOnly(YoukaError):
    code = "FORBIDDEN"
    messages = {"zh-CN": "仅限合作方客户端", "en": "Only a partner's own client may do this"}


class SecretNotForLive(YoukaError):
    code = "SECRET_NOT_FOR_LIVE"
    messages = {
        "zh-CN": "只有沙箱客户端使用密码，请提供公钥",
        "en": "Only sandbox clients have secrets; give a public key",
    }


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request says of who sends it; exactly one way of proving it may be used (RFC 6749, section 2.3)."""

    client_id: str | None = None
    secret: str | None = None
    assertion_type: str | None = None
    assertion: str | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a new client is to be."""

    client_id: str
    name: str
    kind: ClientKind
    scopes: frozenset[str]
    redirect_uris: Sequence[str] = ()
    sandbox: bool = False
    public_key: str | None = None
    tokens_per_hour_max: int | None = None


async def ensure_first_party(*, staff_redirect_uris: Collection[str], now: datetime) -> None:
    """Write down the clients that every deployment has; the redirect URIs of the staff's are those of the settings."""
    own = (
        (MINI_PROGRAM_CLIENT_ID, "油卡小程序", ClientKind.MINI_PROGRAM),
        (CAR_CLIENT_ID, "车机语音充值", ClientKind.CAR),
        (STAFF_CLIENT_ID, "油卡后台", ClientKind.STAFF),
    )
    rows = [
        _row(Terms(client_id, name, kind, POSSIBLE_SCOPES[kind]), account_id=None, now=now)
        for client_id, name, kind in own
    ]
    await OAuthClient.bulk_create(rows, ignore_conflicts=True)
    await OAuthClient.filter(client_id=STAFF_CLIENT_ID).update(redirect_uris=sorted(staff_redirect_uris))


async def authenticate(*, given: Credentials, audiences: Collection[str], policy: Policy, now: datetime) -> OAuthClient:
    """Return the client that sends a request. Raises ClientRefused."""
    try:
        return await _authenticated(given, audiences, policy, now)
    except AssertionRefused as error:
        log.info("client.assertion_refused", reason=str(error))
        raise ClientRefused from error


async def claimed_partner(given: Credentials) -> str | None:
    """Return the partner's client that a request claims to come from, whether that is true or not."""
    client_id = given.client_id
    if given.assertion is not None:
        try:
            client_id = assertions.claimed_client(given.assertion)
        except AssertionRefused:
            return None
    if not client_id or client_id in FIRST_PARTY or len(client_id) > CLIENT_ID_LENGTH_MAX or "\x00" in client_id:
        return None
    return client_id if await OAuthClient.exists(client_id=client_id, kind=ClientKind.PARTNER) else None


async def _authenticated(given: Credentials, audiences: Collection[str], policy: Policy, now: datetime) -> OAuthClient:
    """Raises ClientRefused or AssertionRefused."""
    if given.assertion is not None or given.assertion_type is not None:
        if given.assertion is None or given.assertion_type != ASSERTION_TYPE or given.secret is not None:
            raise ClientRefused
        client_id = assertions.claimed_client(given.assertion)
        if given.client_id not in {None, client_id}:
            raise ClientRefused
        client = await _served(client_id, policy)
        await assertions.accept(
            given.assertion, client_id=client.client_id, audiences=audiences, policy=policy, now=now
        )
        return client
    client = await _served(given.client_id, policy)
    if given.secret is not None:
        if not _secret_is_right(client, given.secret, now):
            raise ClientRefused
    elif client.kind not in PUBLIC_KINDS:
        raise ClientRefused
    return client


async def _served(client_id: str | None, policy: Policy) -> OAuthClient:
    """Raises ClientRefused."""
    if not client_id or len(client_id) > CLIENT_ID_LENGTH_MAX or "\x00" in client_id:
        raise ClientRefused
    client = await OAuthClient.get_or_none(client_id=client_id, disabled_at__isnull=True)
    if client is None or (client.sandbox and not policy.serves_sandbox_tenant):
        raise ClientRefused
    return client


def _secret_is_right(client: OAuthClient, secret: str, now: datetime) -> bool:
    hashes = [client.secret_hash] if client.secret_hash else []
    if client.previous_secret_hash and client.previous_secret_until and now < client.previous_secret_until:
        hashes.append(client.previous_secret_hash)
    given = hash_of(secret)
    return any(hmac.compare_digest(given, each) for each in hashes)


def require_grant(client: OAuthClient, grant: str) -> None:
    """Raises GrantNotAllowed."""
    if grant not in GRANTS[client.kind]:
        raise GrantNotAllowed


def scopes_for(client: OAuthClient, asked: str | None) -> frozenset[str]:
    """Return the scopes for a sign-in by this client. Raises ScopeRefused."""
    return granted(asked, allowed=client.scopes, usual=USUAL_SCOPES.get(client.kind, client.scopes))


async def token_of_its_own(
    *,
    client: OAuthClient,
    scope: str | None,
    tokens: TokenAuthority,
    policy: Policy,
    now: datetime,
    origin: Origin | None = None,
) -> Given:
    """Return an access token for the client's own account (RFC 6749, section 4.4); it cannot be refreshed.

    Raises GrantNotAllowed, ScopeRefused or QuotaSpent.
    """
    require_grant(client, CLIENT_GRANT)
    scopes = scopes_for(client, scope)
    await _count(client, policy, origin, now)
    assert client.account_id is not None, "a partner has an account"
    access_token = tokens.issue(
        user_id=client.account_id,
        client_id=client.client_id,
        scopes=scopes,
        now=now,
        tenant=SANDBOX_TENANT if client.sandbox else LIVE_TENANT,
    )
    return Given(access_token, tokens.lifetime_s, scopes)


@transactional
async def _count(client: OAuthClient, policy: Policy, origin: Origin | None, now: datetime) -> None:
    hour = now.replace(minute=0, second=0, microsecond=0)
    row = await OAuthClient.select_for_update().get(id=client.id)
    used = row.quota_used if row.quota_hour == hour else 0
    maximum = row.tokens_per_hour_max or policy.tokens_per_hour_max
    if used >= maximum:
        raise QuotaSpent(maximum=maximum)
    row.quota_hour, row.quota_used = hour, used + 1
    await row.save(update_fields=["quota_hour", "quota_used"])
    where = origin or Origin(client.client_id, CLIENT_GRANT)
    await records.write(kind=SignInKind.SIGNED_IN, origin=where, owner_id=client.account_id, now=now)


@transactional
async def add(*, terms: Terms, now: datetime) -> tuple[OAuthClient, str | None]:
    """Register a client, and return it with the secret that nobody can read again, where it has one.

    Raises ClientIdTaken, ScopeRefused, ClientKeyInvalid or SecretNotForLive.
    """
    granted(" ".join(terms.scopes), allowed=POSSIBLE_SCOPES[terms.kind], usual=())
    if await OAuthClient.exists(client_id=terms.client_id):
        raise ClientIdTaken
    key = assertions.read_key(terms.public_key) if terms.public_key else None
    partner = terms.kind is ClientKind.PARTNER
    if partner and key is None and not terms.sandbox:
        raise SecretNotForLive
    account = await _account(terms, now) if partner else None
    client = _row(terms, account_id=account.id if account else None, now=now)
    secret = new_secret(SECRET_PREFIX) if partner and key is None else None
    client.secret_hash = hash_of(secret) if secret else None
    await client.save(force_create=True)
    if key:
        await _add_key(client.client_id, key, now)
    return client, secret


async def _account(terms: Terms, now: datetime) -> User:
    """Make the account that a partner's tokens speak for; no platform gives out an openid like this one."""
    identifier = new_id()
    with of_users(identifier):
        return await User.create(id=identifier, openid=f"client:{identifier}", display_name=terms.name, created_at=now)


def _row(terms: Terms, *, account_id: Any, now: datetime) -> OAuthClient:
    return OAuthClient(
        id=new_id(),
        client_id=terms.client_id,
        name=terms.name,
        kind=terms.kind,
        account_id=account_id,
        scopes=sorted(terms.scopes),
        redirect_uris=list(terms.redirect_uris),
        sandbox=terms.sandbox,
        tokens_per_hour_max=terms.tokens_per_hour_max,
        quota_used=0,
        created_at=now,
    )


async def _add_key(client_id: str, key: dict[str, Any], now: datetime) -> None:
    """Let the client sign with the key from now on; one that it had before is taken again."""
    if not await ClientKey.filter(client_id=client_id, kid=key["kid"]).update(until=None):
        await ClientKey.create(id=new_id(), client_id=client_id, kid=key["kid"], jwk=key, created_at=now)


@dataclass(frozen=True, slots=True)
class Rotated:
    """A client's new key, and until when those before it are taken as well."""

    kid: str
    previous_until: datetime


async def rotate_own_key(*, viewer: Viewer, public_key: str, policy: Policy, now: datetime) -> Rotated:
    """Let a partner's client put a new key in the place of its old ones. Raises PartnerOnly or ClientKeyInvalid."""
    client = await OAuthClient.get_or_none(client_id=viewer.client_id, disabled_at__isnull=True)
    if client is None or client.kind is not ClientKind.PARTNER or client.account_id != viewer.user_id:
        raise PartnerOnly
    return await _rotate_key(client, assertions.read_key(public_key), policy, now)


async def rotate_key(*, client_id: str, public_key: str, policy: Policy, now: datetime) -> Rotated:
    """Do so for a client, as whoever runs the service. Raises ClientNotFound or ClientKeyInvalid."""
    return await _rotate_key(await named(client_id), assertions.read_key(public_key), policy, now)


@transactional
async def _rotate_key(client: OAuthClient, key: dict[str, Any], policy: Policy, now: datetime) -> Rotated:
    await OAuthClient.select_for_update().get(id=client.id)
    until = now + policy.key_overlap
    await ClientKey.filter(client_id=client.client_id, until__isnull=True).exclude(kid=key["kid"]).update(until=until)
    await _add_key(client.client_id, key, now)
    return Rotated(key["kid"], until)


@transactional
async def rotate_secret(*, client_id: str, policy: Policy, now: datetime) -> str:
    """Make a new secret of a sandbox client; the one before it is taken for a while. Raises ClientNotFound or
    SecretNotForLive."""
    client = await named(client_id)
    if not client.sandbox or client.kind is not ClientKind.PARTNER:
        raise SecretNotForLive
    secret = new_secret(SECRET_PREFIX)
    client.previous_secret_hash, client.previous_secret_until = client.secret_hash, now + policy.key_overlap
    client.secret_hash = hash_of(secret)
    await client.save(update_fields=["secret_hash", "previous_secret_hash", "previous_secret_until"])
    return secret


@transactional
async def disable(*, client_id: str, tokens: TokenAuthority, now: datetime) -> int:
    """Serve the client no more, and end the sessions that it keeps; return how many. Raises ClientNotFound."""
    client = await named(client_id)
    await OAuthClient.filter(id=client.id, disabled_at__isnull=True).update(disabled_at=now)
    return await end_those(reason=SessionEnd.CLIENT_DISABLED, tokens=tokens, now=now, client_id=client_id)


@dataclass(frozen=True, slots=True)
class Quota:
    """How much a client's requests may cost: at once, and in each second after that."""

    client_id: str
    cost_max: int
    refill_per_s: int


async def quotas() -> list[Quota]:
    """Return the quotas of clients that have one of their own."""
    rows = await OAuthClient.filter(cost_max__isnull=False, disabled_at__isnull=True).values_list(
        "client_id", "cost_max", "cost_refill_per_s"
    )
    return [Quota(*row) for row in rows]


@transactional
async def set_quota(*, client_id: str, quota: Quota | None) -> None:
    """Give the client a quota of its own, or the usual one again; servers obey soon. Raises ClientNotFound."""
    client = await named(client_id)
    client.cost_max = quota.cost_max if quota else None
    client.cost_refill_per_s = quota.refill_per_s if quota else None
    await client.save(update_fields=["cost_max", "cost_refill_per_s"])


async def named(client_id: str) -> OAuthClient:
    """Raises ClientNotFound."""
    client = await OAuthClient.get_or_none(client_id=client_id)
    if client is None:
        raise ClientNotFound
    return client


async def listed() -> list[OAuthClient]:
    return await OAuthClient.all().order_by("client_id")


async def display_names(client_ids: Sequence[str]) -> list[str]:
    """Return how people are told of each client; its id where there is none any more."""
    found = {row.client_id: row.name for row in await OAuthClient.filter(client_id__in=set(client_ids))}
    return [found.get(client_id, client_id) for client_id in client_ids]
