"""What conversations remember, kept between two turns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tortoise.exceptions import IntegrityError

from domain.identity.queries import lock_user
from domain.identity.viewer import Viewer
from domain.voice.dialogue import NOTHING, State
from domain.voice.policy import VoicePolicy
from kernel.errors import YoukaError
from kernel.ids import new_id
from models.database import transactional
from models.voice import VoiceSession

VALID_SESSION = re.compile(r"[\x21-\x7e]{8,64}")


class VoiceSessionInvalid(YoukaError):
    code = "VOICE_SESSION_INVALID"
    messages = {
        "zh-CN": "会话标识须为8至64个可见ASCII字符",
        "en": "The session must have 8 to 64 visible ASCII characters",
    }


class VoiceSessionBusy(YoukaError):
    """Two turns came at once. Nothing was done for this one."""

    code = "VOICE_SESSION_BUSY"
    messages = {
        "zh-CN": "上一句话还在处理，请再说一遍",
        "en": "Something else was said at the same time, please say it again",
    }


class TooManyVoiceSessions(YoukaError):
    code = "TOO_MANY_VOICE_SESSIONS"
    messages = {"zh-CN": "同时最多{maximum}个会话", "en": "Hold {maximum} conversations at once at most"}


@dataclass(frozen=True, slots=True)
class Kept:
    """A conversation as it was read. `row_id` is None for one that is not kept yet."""

    session: str
    state: State
    row_id: UUID | None = None
    version: int = 0


def check_session(session: str) -> None:
    """Raises VoiceSessionInvalid."""
    if not VALID_SESSION.fullmatch(session):
        raise VoiceSessionInvalid


async def load(*, viewer: Viewer, session: str, now: datetime) -> Kept:
    """Return what the conversation remembers; one that has expired remembers nothing."""
    row = await VoiceSession.get_or_none(user_id=viewer.user_id, session=session)
    if row is None:
        return Kept(session, NOTHING)
    state = State.of_json(row.state) if row.expires_at > now else NOTHING
    return Kept(session, state, row.id, row.version)


async def keep(*, viewer: Viewer, kept: Kept, state: State, policy: VoicePolicy, now: datetime) -> None:
    """Remember the state for the next turn, unless another turn was faster (compare-and-set on the version).

    Raises VoiceSessionBusy or TooManyVoiceSessions, and then nothing has changed.
    """
    expires_at = now + policy.session_lifetime
    if kept.row_id is None:
        if state != NOTHING:
            await _begin(viewer, kept.session, state, policy, now)
        return
    row = VoiceSession.filter(id=kept.row_id, user_id=viewer.user_id, version=kept.version)
    if not await row.update(state=state.as_json(), version=kept.version + 1, expires_at=expires_at):
        raise VoiceSessionBusy


async def _begin(viewer: Viewer, session: str, state: State, policy: VoicePolicy, now: datetime) -> None:
    try:
        await _create(viewer, session, state, policy, now)
    except IntegrityError as error:
        raise VoiceSessionBusy from error


@transactional
async def _create(viewer: Viewer, session: str, state: State, policy: VoicePolicy, now: datetime) -> None:
    await lock_user(viewer=viewer)
    if await VoiceSession.filter(user_id=viewer.user_id, expires_at__gt=now).count() >= policy.sessions_max:
        raise TooManyVoiceSessions(maximum=policy.sessions_max)
    await VoiceSession.create(
        id=new_id(),
        user_id=viewer.user_id,
        session=session,
        state=state.as_json(),
        version=1,
        expires_at=now + policy.session_lifetime,
    )


@transactional
async def purge(*, before: datetime, limit: int) -> int:
    """Delete up to `limit` conversations that expired before the moment, and return how many they were."""
    ids = (
        await VoiceSession.filter(expires_at__lt=before)
        .order_by("expires_at")
        .limit(limit)
        .values_list("id", flat=True)
    )
    # One that has gone on meanwhile stays.
    return await VoiceSession.filter(id__in=list(ids), expires_at__lt=before).delete()
