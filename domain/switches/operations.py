"""Turning switches. Every turn is kept, with who did it and why."""

from __future__ import annotations

from datetime import datetime

from domain.actions.recording import Subject, columns_of, record
from domain.events.operations import append
from domain.events.streams import SWITCHES, EventType
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.states import StaffRole, Switch
from models.database import transactional
from models.switches import SwitchChange

REASON_LENGTH_MAX = 256
NOTICE_LENGTH_MAX = 256


class SwitchReasonInvalid(YoukaError):
    code = "SWITCH_REASON_INVALID"
    messages = {"zh-CN": "请填写原因，最多{maximum}个字符", "en": "Say why, in {maximum} characters at most"}


class SwitchNoticeInvalid(YoukaError):
    """Notice and end are for users who meet what is switched on, and an end lies ahead."""

    code = "SWITCH_NOTICE_INVALID"
    messages = {
        "zh-CN": "公告最多{maximum}个字符，结束时间须在将来，且仅在开启时填写",
        "en": "A notice has {maximum} characters at most, an end lies ahead, and both go with switching on",
    }


@transactional
async def turn(
    *,
    switch: Switch,
    on: bool,
    reason: str,
    notice: str | None,
    until: datetime | None,
    actor: str,
    roles: frozenset[StaffRole] = frozenset(),
    now: datetime,
) -> SwitchChange:
    """Turn a switch. Turning it where it stands already is kept, too: notice and end may be others.

    `until` is when it should be over, for users; nothing happens by itself then. Raises SwitchReasonInvalid or
    SwitchNoticeInvalid.
    """
    reason, notice = reason.strip(), (notice or "").strip() or None
    if not 0 < len(reason) <= REASON_LENGTH_MAX:
        raise SwitchReasonInvalid(maximum=REASON_LENGTH_MAX)
    misplaced = not on and (notice or until)
    if misplaced or len(notice or "") > NOTICE_LENGTH_MAX or (until is not None and until <= now):
        raise SwitchNoticeInvalid(maximum=NOTICE_LENGTH_MAX)
    # The stream's head stays locked to the commit, so two turns at once are two turns in an order.
    position = await append(
        stream=SWITCHES, type=EventType.SWITCH_TURNED, payload={"switch": switch.value, "on": on}, now=now
    )
    before = await SwitchChange.filter(switch=switch).order_by("-position").first()
    change = await SwitchChange.create(
        id=new_id(),
        position=position,
        switch=switch,
        on=on,
        reason=reason,
        notice=notice,
        until=until,
        changed_by=actor,
        changed_at=now,
    )
    await record(
        actor=actor,
        roles=roles,
        action="turnSwitch",
        subject=Subject("Switch", switch.value),
        reason=reason,
        before=columns_of(before) if before else None,
        after=columns_of(change),
        now=now,
    )
    return change
