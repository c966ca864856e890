"""How far a device has read: only forward, a bounded number of devices, and only of one's own stream."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.events import acks
from domain.events.acks import DeviceInvalid, TooManyDevices
from domain.events.cursors import Cursor, CursorInvalid
from domain.events.operations import append
from domain.events.purging import new_epoch
from domain.events.queries import standing_of
from domain.events.streams import EventType, arrivals_stream
from kernel.clock import utc_now
from models.database import connected, transactional
from models.events import NoticeAck
from tests.factories import create_viewer

NOW = utc_now()
MONTH = timedelta(days=30)


@transactional
async def arrive(user_id: UUID, count: int) -> None:
    for _ in range(count):
        await append(stream=arrivals_stream(user_id), type=EventType.RECHARGE_ARRIVED, payload={}, now=NOW)


async def cursor_at(user_id: UUID, position: int) -> str:
    return (await standing_of(arrivals_stream(user_id))).cursor(position)


async def ack(user_id: UUID, device: str, position: int, **values: Any) -> int:
    """Acknowledge and return the position that is kept."""
    given = {"devices_max": 3, "forget_after": MONTH, "now": NOW, **values}
    kept = await acks.ack(user_id=user_id, device=device, cursor=await cursor_at(user_id, position), **given)
    return Cursor.read(kept).position


async def kept() -> dict[str, int]:
    return {row.device: row.position for row in await NoticeAck.all()}


async def test_a_position_only_goes_forward(database: str) -> None:
    user_id = (await create_viewer()).user_id
    await arrive(user_id, 5)
    assert [await ack(user_id, "watch", position) for position in (2, 4, 3, 0, 4, 5)] == [2, 4, 4, 4, 4, 5]
    assert await acks.acked(user_id=user_id, device="watch") == 5
    assert await acks.acked(user_id=user_id, device="car") is None


async def test_of_many_at_once_the_farthest_stands(database: str) -> None:
    user_id = (await create_viewer()).user_id
    await arrive(user_id, 12)
    for _ in range(5):
        await NoticeAck.all().delete()
        await asyncio.gather(*(ack(user_id, f"device-{n % 3}", n) for n in (7, 3, 12, 1, 9, 4, 11, 5, 2, 10, 8, 6)))
        assert await kept() == {"device-0": 12, "device-1": 10, "device-2": 11}


async def test_many_new_devices_at_once_stay_within_the_limit(database: str) -> None:
    user_id = (await create_viewer()).user_id
    await arrive(user_id, 1)
    answers = await asyncio.gather(*(ack(user_id, f"device-{n}", 1) for n in range(9)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert len(refused) == 6
    assert all(isinstance(answer, TooManyDevices) and answer.values == {"maximum": 3} for answer in refused)
    assert len(await kept()) == 3


async def test_a_device_that_is_long_silent_makes_room(database: str) -> None:
    user_id, other_id = (await create_viewer()).user_id, (await create_viewer()).user_id
    for each in (user_id, other_id):
        await arrive(each, 2)
    await ack(other_id, "old", 1, now=NOW - 3 * MONTH)
    await ack(user_id, "old", 1, now=NOW - 2 * MONTH)
    for device in ("a", "b"):
        await ack(user_id, device, 1)
    assert await ack(user_id, "c", 2) == 2
    assert {row.device for row in await NoticeAck.filter(user_id=user_id)} == {"a", "b", "c"}
    assert await acks.acked(user_id=other_id, device="old") == 1
    with pytest.raises(TooManyDevices):
        await ack(user_id, "d", 1)
    assert {row.device for row in await NoticeAck.filter(user_id=user_id)} == {"a", "b", "c"}


async def test_what_is_not_ones_own_is_refused_and_nothing_changes(database: str) -> None:
    user_id, other_id = (await create_viewer()).user_id, (await create_viewer()).user_id
    for each in (user_id, other_id):
        await arrive(each, 3)
    await ack(user_id, "watch", 1)
    epoch = (await standing_of("prices")).epoch
    refused = [
        await cursor_at(other_id, 2),
        Cursor(epoch, "prices", 0).text,
        Cursor(epoch, arrivals_stream(user_id), 4).text,
        Cursor("0" * 12, arrivals_stream(user_id), 2).text,
        "",
        "nonsense",
    ]
    for cursor in refused:
        for device in ("watch", "new"):
            with pytest.raises(CursorInvalid):
                await acks.ack(
                    user_id=user_id, device=device, cursor=cursor, devices_max=3, forget_after=MONTH, now=NOW
                )
    assert await kept() == {"watch": 1}


async def test_who_has_no_account_has_no_position(database: str) -> None:
    with pytest.raises(CursorInvalid):
        await ack(uuid4(), "watch", 0)
    assert await kept() == {}


@pytest.mark.parametrize("device", ["", " ", "a b", "x" * 65, "手表", "a\0", "a\n"])
async def test_a_device_has_a_name(sqlite_url: str, device: str) -> None:
    async with connected(sqlite_url):
        user_id = (await create_viewer()).user_id
        with pytest.raises(DeviceInvalid) as refused:
            await ack(user_id, device, 0)
        assert refused.value.values == {"maximum": 64}
        with pytest.raises(DeviceInvalid):
            await acks.acked(user_id=user_id, device=device)
        assert await kept() == {}


async def test_a_position_stays_true_in_another_epoch(database: str) -> None:
    user_id = (await create_viewer()).user_id
    await arrive(user_id, 2)
    await ack(user_id, "watch", 1)
    await new_epoch(now=NOW)
    assert await acks.acked(user_id=user_id, device="watch") == 1
    assert await ack(user_id, "watch", 2) == 2
