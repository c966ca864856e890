"""From an event to the user's phone: the worker finds it, spends the consent and sends the message, once."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from domain.events.operations import append
from domain.events.streams import EventType, arrivals_stream
from domain.identity.viewer import Viewer
from domain.messages import consents, scanning
from domain.messages.policy import Policy
from jobs.assembly import working
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.settings import SANDBOX_ARRIVAL_TEMPLATE_ID, Settings
from kernel.states import MessageState, MessageTemplate
from models.database import transactional
from models.identity import User
from models.messages import OutgoingMessage
from tests.factories import SEALER, create_card, create_viewer
from tests.sandbox_fixtures import Sandbox
from tests.silence import patient_third_parties

append_event = transactional(append)


@pytest.fixture
def settings(sandbox: Sandbox, database: str) -> Settings:
    return sandbox.settings(database_url=database, message_scan_interval_s=0.1)


@pytest.fixture
async def arrived(settings: Settings, sandbox: Sandbox) -> Viewer:
    """A user who has accepted two messages, here and at the platform, and to whom one recharge has come."""
    user = f"worker-{uuid4().hex}"
    accepted = sandbox.control("wx-consent", user=user, template_id=SANDBOX_ARRIVAL_TEMPLATE_ID, count=2)
    viewer = await create_viewer(accepted["openid"])
    policy = Policy.of(settings)
    await scanning.scan(policy=policy, now=utc_now())
    for key in ("grant-key-1", "grant-key-2"):
        await consents.grant(
            viewer=viewer, templates=[MessageTemplate.ARRIVAL], watch=None, key=key, policy=policy, now=utc_now()
        )
    card = await create_card(viewer)
    payload = {"order_id": str(new_id()), "card_id": str(card.id), "amount_fen": 50_000}
    await append_event(
        stream=arrivals_stream(viewer.user_id), type=EventType.RECHARGE_ARRIVED, payload=payload, now=utc_now()
    )
    return viewer


async def settled(state: MessageState) -> OutgoingMessage:
    async with asyncio.timeout(60):
        while True:
            message = await OutgoingMessage.get_or_none()
            if message and message.state is state:
                return message
            await asyncio.sleep(0.05)


def sent_to(sandbox: Sandbox, openid: str) -> int:
    return len([each for each in sandbox.state()["messages"] if each["openid"] == openid])


async def openid_of(viewer: Viewer) -> str:
    return (await User.get(id=viewer.user_id)).openid


@pytest.mark.parametrize(
    ("fault", "state", "sent", "left"),
    [
        ("ok", MessageState.SENT, 1, 1),
        ("token_expired", MessageState.SENT, 1, 1),
        ("not_accepted", MessageState.REFUSED, 0, 1),
        ("send_then_timeout", MessageState.UNKNOWN, 1, 1),
    ],
)
async def test_what_becomes_of_it(
    arrived: Viewer,
    settings: Settings,
    sandbox: Sandbox,
    fault: str,
    state: MessageState,
    sent: int,
    left: int,
) -> None:
    sandbox.faults(wechat_open=fault, times=1)
    async with patient_third_parties(settings) as parties, working(settings, parties, SEALER):
        await settled(state)
    assert sent_to(sandbox, await openid_of(arrived)) == sent
    standing = {each.template: each.left for each in await consents.standings(user_id=arrived.user_id)}
    assert standing[MessageTemplate.ARRIVAL] == left


async def test_a_token_that_cannot_be_had_delays_it(arrived: Viewer, settings: Settings, sandbox: Sandbox) -> None:
    sandbox.faults(wechat_open="token_error_500", times=3)
    async with patient_third_parties(settings) as parties, working(settings, parties, SEALER):
        await settled(MessageState.SENT)
    assert sent_to(sandbox, await openid_of(arrived)) == 1
