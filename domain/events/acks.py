"""How far each device of a user has read the user's arrivals, for devices that cannot keep a cursor themselves.

The position stands in the same database as the events, so it stays true in a database that was restored.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from uuid import UUID

from domain.events.cursors import Cursor, CursorInvalid
from domain.events.queries import standing_of
from domain.events.streams import arrivals_stream
from kernel.errors import YoukaError
from kernel.ids import new_id
from models.database import transactional
from models.events import NoticeAck
from models.identity import User

DEVICE_LENGTH_MAX = 64
DEVICE = re.compile(r"[\x21-\x7e]{1,64}")


class DeviceInvalid(YoukaError):
    code = "DEVICE_INVALID"
    messages = {
        "zh-CN": "设备名须为1至{maximum}个可见ASCII字符",
        "en": "A device is named by 1 to {maximum} visible ASCII characters",
    }


class TooManyDevices(YoukaError):
    code = "TOO_MANY_DEVICES"
    messages = {"zh-CN": "最多可登记{maximum}台设备", "en": "At most {maximum} devices keep a position here"}


@transactional
async def ack(
    *, user_id: UUID, device: str, cursor: str, devices_max: int, forget_after: timedelta, now: datetime
) -> str:
    """Note that the device has what lies up to the cursor, and return the cursor of the farthest it has acknowledged.

    Where there is no room for a new device, one that has been silent for `forget_after` makes room. Raises
    DeviceInvalid, TooManyDevices, and CursorInvalid also for a cursor of another epoch and for who has no account, such
    as staff; then nothing has changed.
    """
    _check(device)
    standing = await standing_of(arrivals_stream(user_id))
    given = Cursor.read(cursor)
    if (given.stream, given.epoch) != (standing.stream, standing.epoch) or given.position > standing.position:
        raise CursorInvalid
    # One device of a user at a time, and this lock before any other: two new devices cannot both take the last place,
    # and of two acks at once the farther one stands, whichever comes last. Orders of the user do not wait for it.
    if not await User.filter(id=user_id).select_for_update(no_key=True):
        raise CursorInvalid
    row = await NoticeAck.get_or_none(user_id=user_id, device=device)
    if row is None:
        await _make_room(user_id, devices_max, now - forget_after)
        row = NoticeAck(id=new_id(), user_id=user_id, device=device, position=given.position)
    row.acked_at, row.position = now, max(row.position, given.position)
    await row.save()
    return standing.cursor(row.position)


async def _make_room(user_id: UUID, devices_max: int, silent_since: datetime) -> None:
    devices = await NoticeAck.filter(user_id=user_id).order_by("acked_at")
    if len(devices) < devices_max:
        return
    if devices[0].acked_at >= silent_since:
        raise TooManyDevices(maximum=devices_max)
    await devices[0].delete()


async def acked(*, user_id: UUID, device: str) -> int | None:
    """Return the position that the device has acknowledged, None where it never has. Raises DeviceInvalid."""
    _check(device)
    row = await NoticeAck.get_or_none(user_id=user_id, device=device)
    return row.position if row else None


def _check(device: str) -> None:
    if not DEVICE.fullmatch(device):
        raise DeviceInvalid(maximum=DEVICE_LENGTH_MAX)
