"""The keys that sign access tokens. Private keys are kept sealed in the database, so all processes have the same ones.

A new key is published for a while before it signs, and one that signs no more is published until the last token that it
signed has expired; which key signs follows from the clock, so processes need not talk to each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from joserfc.jwk import ECKey

from domain.access.policy import Policy
from domain.identity.tokens import SigningKey, TokenAuthority
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.sealing import Sealer
from models.access import SigningKeyRow
from models.database import transactional

CURVE = "P-256"


class SigningKeyUnknown(YoukaError):
    code = "SIGNING_KEY_UNKNOWN"
    messages = {"zh-CN": "没有该签名密钥", "en": "There is no such signing key"}


class RotationUnderWay(YoukaError):
    """A second rotation would end the key that signs before its successor does."""

    code = "ROTATION_UNDER_WAY"
    messages = {
        "zh-CN": "新密钥尚未启用，{active_from}后再轮换",
        "en": "The next key does not sign before {active_from}; rotate after that",
    }


class LastSigningKey(YoukaError):
    code = "LAST_SIGNING_KEY"
    messages = {"zh-CN": "没有其他可用密钥，请先轮换", "en": "No other key can sign; rotate first"}


@dataclass(frozen=True, slots=True)
class Standing:
    """A key and what it is for now: next, current, previous or gone."""

    kid: str
    role: str
    active_from: datetime
    expires_at: datetime | None


async def load(*, first: ECKey, sealer: Sealer, now: datetime) -> list[SigningKey]:
    """Return the keys of this deployment, with `first` written down where there are none. Raises SealBroken."""
    rows = await SigningKeyRow.all()
    if not rows:
        row = _row(first, sealer, active_from=now, now=now)
        await SigningKeyRow.bulk_create([row], ignore_conflicts=True)
        rows = await SigningKeyRow.all()
    return [_opened(row, sealer) for row in rows if row.expires_at is None or row.expires_at > now]


@transactional
async def rotate(*, sealer: Sealer, policy: Policy, tokens: TokenAuthority, now: datetime) -> SigningKeyRow:
    """Make the next key, and let the one that signs now end once the last token that it signed has expired.

    Raises RotationUnderWay.
    """
    rows = await _locked()
    waiting = [row for row in rows if row.active_from > now]
    if waiting:
        raise RotationUnderWay(active_from=waiting[-1].active_from.isoformat(timespec="seconds"))
    return await _rotated(rows, sealer, policy, tokens, now)


@transactional
async def rotate_by_schedule(*, sealer: Sealer, policy: Policy, tokens: TokenAuthority, now: datetime) -> datetime:
    """Rotate where the newest key has signed for its period, and return when to look again.

    Of workers beside each other one finds it due; the next ones find its key.
    """
    rows = await _locked()
    if not rows:
        # No server has written the first key down yet.
        return now + policy.key_lead
    due_at = _due_at(rows[-1], policy)
    return _due_at(await _rotated(rows, sealer, policy, tokens, now), policy) if now >= due_at else due_at


def _due_at(newest: SigningKeyRow, policy: Policy) -> datetime:
    """Return when the newest key will have signed for its period."""
    active_from: datetime = newest.active_from
    return active_from + policy.key_period


async def _locked() -> list[SigningKeyRow]:
    """Return every key, the newest last, and hold them until the transaction ends.

    Whoever waited for the lock has read before the other wrote, so they are read again behind it.
    """
    await SigningKeyRow.select_for_update().order_by("id")
    return await SigningKeyRow.all().order_by("active_from")


async def _rotated(
    rows: list[SigningKeyRow], sealer: Sealer, policy: Policy, tokens: TokenAuthority, now: datetime
) -> SigningKeyRow:
    active_from = now + policy.key_lead
    for row in rows:
        if row.expires_at is None:
            row.expires_at = active_from + tokens.lifetime_with_skew
            await row.save(update_fields=["expires_at"])
    made = _row(ECKey.generate_key(CURVE), sealer, active_from=active_from, now=now)
    await made.save(force_create=True)
    return made


@transactional
async def revoke(*, kid: str, now: datetime) -> None:
    """Let nothing that the key has signed be good any more. Raises SigningKeyUnknown or LastSigningKey."""
    rows = await SigningKeyRow.select_for_update().all()
    found = [row for row in rows if row.kid == kid]
    if not found:
        raise SigningKeyUnknown
    others = [row for row in rows if row.kid != kid and (row.expires_at is None or row.expires_at > now)]
    if not others:
        raise LastSigningKey
    if not any(row.active_from <= now for row in others):
        # Who trusts the published keys may not know the next one yet; a stolen key is worse than that.
        successor = min(others, key=lambda row: row.active_from)
        successor.active_from = now
        await successor.save(update_fields=["active_from"])
    found[0].expires_at = now
    await found[0].save(update_fields=["expires_at"])


async def standings(*, now: datetime) -> list[Standing]:
    """Return every key, newest first, with what it is for."""
    rows = await SigningKeyRow.all().order_by("-active_from")
    able = [row for row in rows if row.active_from <= now and (row.expires_at is None or row.expires_at > now)]
    current = able[0].kid if able else ""

    def role(row: SigningKeyRow) -> str:
        if row.expires_at is not None and row.expires_at <= now:
            return "gone"
        if row.active_from > now:
            return "next"
        return "current" if row.kid == current else "previous"

    return [Standing(row.kid, role(row), row.active_from, row.expires_at) for row in rows]


def _row(key: ECKey, sealer: Sealer, *, active_from: datetime, now: datetime) -> SigningKeyRow:
    kid = key.thumbprint()
    return SigningKeyRow(
        id=new_id(),
        kid=kid,
        private_sealed=sealer.seal(key.as_pem(private=True).decode(), owner=f"signing-key:{kid}"),
        created_at=now,
        active_from=active_from,
    )


def _opened(row: SigningKeyRow, sealer: Sealer) -> SigningKey:
    pem = sealer.open(bytes(row.private_sealed), owner=f"signing-key:{row.kid}")
    return SigningKey(ECKey.import_key(pem), row.active_from, row.expires_at)
