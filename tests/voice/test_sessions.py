"""Conversations are kept by compare-and-set, and a yes is not lost where the process dies behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import pytest

from domain.identity.viewer import Viewer
from domain.orders import operations as orders
from domain.stations.index import StationIndex
from domain.voice import sessions
from domain.voice.dialogue import NOTHING, Asking, State
from domain.voice.operations import ConfirmTokenExpired, ConfirmTokenInvalid, House, Said, Turn, turn
from domain.voice.policy import VoicePolicy
from domain.voice.sessions import VoiceSessionBusy
from jobs.recurring import PURGE_INTERVAL, Recurring
from kernel.clock import utc_now
from kernel.settings import Settings
from models.orders import RechargeOrder
from models.voice import VoiceSession
from tests.factories import POLICY, create_card, create_viewer

VOICE = VoicePolicy.of(Settings())
NOW = utc_now()
SESSION = "session-1"


@dataclass
class Unpaying:
    """Leaves every order to its user, and counts how often it was asked."""

    asked: int = 0

    async def pay(self, **_: Any) -> RechargeOrder | None:
        self.asked += 1
        return None


async def say(viewer: Viewer, said: str, *, token: str | None = None, late: timedelta = timedelta()) -> Turn:
    house = House(index=StationIndex(), payer=Unpaying(), orders=POLICY, voice=VOICE)
    heard = Said(session=SESSION, transcript=said, locale="zh-CN", confirm_token=token)
    return await turn(viewer=viewer, said=heard, house=house, now=NOW + late)


@pytest.fixture
async def viewer(database: str) -> Viewer:
    assert database
    viewer = await create_viewer()
    await create_card(viewer)
    return viewer


async def token_for(viewer: Viewer) -> str:
    offered = (await say(viewer, "充五百")).offered
    assert offered is not None
    assert offered.confirm_token is not None
    return offered.confirm_token


async def test_of_two_turns_at_once_one_is_heard(viewer: Viewer) -> None:
    kept = await sessions.load(viewer=viewer, session=SESSION, now=NOW)
    asking = State(asking=Asking.AMOUNT)
    await sessions.keep(viewer=viewer, kept=kept, state=asking, policy=VOICE, now=NOW)
    with pytest.raises(VoiceSessionBusy):
        await sessions.keep(viewer=viewer, kept=kept, state=asking, policy=VOICE, now=NOW)
    read = await sessions.load(viewer=viewer, session=SESSION, now=NOW)
    assert (read.state, read.version) == (asking, 1)
    await sessions.keep(viewer=viewer, kept=read, state=NOTHING, policy=VOICE, now=NOW)
    with pytest.raises(VoiceSessionBusy):
        await sessions.keep(viewer=viewer, kept=read, state=asking, policy=VOICE, now=NOW)
    assert (await sessions.load(viewer=viewer, session=SESSION, now=NOW)).state == NOTHING


async def test_a_session_is_somebodys_own_and_is_forgotten(viewer: Viewer) -> None:
    await say(viewer, "充值")
    assert (await sessions.load(viewer=await create_viewer(), session=SESSION, now=NOW)).state == NOTHING
    assert (await sessions.load(viewer=viewer, session=SESSION, now=NOW)).state.asking is Asking.AMOUNT
    over = NOW + VOICE.session_lifetime
    assert (await sessions.load(viewer=viewer, session=SESSION, now=over)).state == NOTHING


async def test_the_worker_deletes_what_is_over(viewer: Viewer) -> None:
    await say(viewer, "充值")
    job = cast(Any, None)
    assert await Recurring(Settings()).purge_voice_sessions(job, NOW) == NOW + PURGE_INTERVAL
    assert await VoiceSession.all().count() == 1
    over = NOW + VOICE.session_lifetime + timedelta(seconds=1)
    assert await Recurring(Settings()).purge_voice_sessions(job, over) == over + PURGE_INTERVAL
    assert await VoiceSession.all().count() == 0


async def test_a_yes_survives_the_death_of_its_process(viewer: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await token_for(viewer)

    async def die(**_: Any) -> RechargeOrder:
        raise RuntimeError("the process has died")

    with monkeypatch.context() as patched:
        patched.setattr(orders, "create", die)
        with pytest.raises(RuntimeError):
            await say(viewer, "确认", token=token)
    assert await RechargeOrder.all().count() == 0
    again = await say(viewer, "确认", token=token)
    assert again.order is not None
    assert (await RechargeOrder.get()).id == again.order.id


async def test_a_token_is_good_for_its_time_and_its_proposal(viewer: Viewer) -> None:
    token = await token_for(viewer)
    newer = await token_for(viewer)
    with pytest.raises(ConfirmTokenInvalid):
        await say(viewer, "确认", token=token)
    with pytest.raises(ConfirmTokenExpired):
        await say(viewer, "确认", token=newer, late=VOICE.confirm_within)
    assert await RechargeOrder.all().count() == 0
    just_in_time = await say(viewer, "确认", token=newer, late=VOICE.confirm_within - timedelta(seconds=1))
    assert just_in_time.order is not None


async def test_what_is_kept_stays_small(viewer: Viewer) -> None:
    await say(viewer, f"给尾号{'1' * 19}的卡充{'九' * 100}")
    await say(viewer, "充五百")
    (state,) = await VoiceSession.all().values_list("state", flat=True)
    assert len(str(state)) < 1_000
