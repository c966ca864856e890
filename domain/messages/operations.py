"""Writing messages down and sending them: a row and its consent first, then one request, never a second."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from domain.messages import consents
from domain.messages.ports import MessageSender, MessagesUnavailable, Outcome, Sending
from domain.work.operations import Kind, schedule
from kernel.ids import new_id
from kernel.logs import get_logger
from kernel.states import MessageState, MessageTemplate, Product
from models.database import transactional
from models.identity import User
from models.messages import OutgoingMessage

log = get_logger(__name__)

ENDS = {
    Outcome.SENT: MessageState.SENT,
    Outcome.NOT_ACCEPTED: MessageState.REFUSED,
    Outcome.TURNED_DOWN: MessageState.FAILED,
    Outcome.UNKNOWN: MessageState.UNKNOWN,
}


@transactional
async def write(
    *,
    user_id: UUID,
    template: MessageTemplate,
    event_key: str,
    content: Mapping[str, str],
    occurred_at: datetime,
    now: datetime,
    about: tuple[UUID, Product] | None = None,
) -> UUID | None:
    """Spend a consent on a message about one event, and return the message's id.

    None where there is a message about the event already, or no consent from before it. Raises AccountGone.
    """
    await consents.lock(user_id)
    if await OutgoingMessage.exists(user_id=user_id, template=template, event_key=event_key):
        return None
    consent_id = await consents.take(user_id=user_id, template=template, about=about, granted_by=occurred_at, now=now)
    if consent_id is None:
        return None
    message = await OutgoingMessage.create(
        id=new_id(),
        user_id=user_id,
        consent_id=consent_id,
        template=template,
        event_key=event_key,
        content=dict(content),
        state=MessageState.PENDING,
        created_at=now,
    )
    await schedule(
        kind=Kind.SEND_MESSAGE,
        key=str(message.id),
        payload={"message_id": str(message.id)},
        due_at=now,
        now=now,
    )
    return message.id


async def send(*, message_id: UUID, sender: MessageSender, now: datetime) -> bool:
    """Send a message that waits, and return whether it is settled; one that nobody can send now waits on.

    One whose sending was cut off is UNKNOWN from then on: the user may have it, so it is not sent again.
    """
    message = await OutgoingMessage.get_or_none(id=message_id)
    if message is None or message.settled_at is not None:
        return True
    if message.state is MessageState.SENDING or message.template not in sender.templates:
        cut_off = message.state is MessageState.SENDING
        await _settle(message, Sending(Outcome.UNKNOWN if cut_off else Outcome.TURNED_DOWN), now)
        return True
    openid = (await User.get(id=message.user_id)).openid
    if not await _move(message.id, MessageState.PENDING, MessageState.SENDING):
        return True
    try:
        sending = await sender.send(openid=openid, template=message.template, content=message.content)
    except MessagesUnavailable:
        await _move(message.id, MessageState.SENDING, MessageState.PENDING)
        return False
    await _settle(message, sending, now)
    return True


@transactional
async def _move(message_id: UUID, before: MessageState, after: MessageState) -> bool:
    return await OutgoingMessage.filter(id=message_id, state=before).update(state=after) == 1


@transactional
async def _settle(message: OutgoingMessage, sending: Sending, now: datetime) -> None:
    state = ENDS[sending.outcome]
    settled = await OutgoingMessage.filter(id=message.id, settled_at__isnull=True).update(
        state=state, error_code=sending.error_code, settled_at=now
    )
    if settled and state is MessageState.FAILED:
        await consents.give_back(consent_id=message.consent_id, message_id=message.id)
    if state is not MessageState.SENT:
        log.warning("message.not_sent", message_id=str(message.id), state=state.value, said=sending.error_code)
