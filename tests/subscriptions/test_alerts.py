"""`alerts`: staff hear of what waits for them, and nobody else does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.events.alerts import AUDIENCES
from domain.events.streams import ALERTS, AlertKind
from domain.identity import staff as staff_operations
from domain.signins import locks
from domain.signins.locks import Subject
from domain.signins.policy import SignInPolicy
from domain.signins.records import Origin
from domain.work import operations as work
from kernel.clock import utc_now
from kernel.settings import Settings
from kernel.states import StaffRole
from models.database import transactional
from models.events import Event
from models.reviews import Review
from schema.types.relay import global_id
from tests.factories import create_card, create_order, create_staff, create_viewer
from tests.subscriptions.happenings import await_review, open_case, park_work, recharge
from tests.subscriptions.listening import House, Listener, cursor_of, listening, staff_viewer

ALERT = """
  ... on CaseAlert { case { id order { id } } }
  ... on ReviewAlert { review { id order { id } } }
  ... on WorkAlert { work { jobId kind reason } }
  ... on SignInLockAlert { lock { subject name userId failures } }"""
ALERTS_QUERY = f"""subscription ($after: String) {{ alerts(after: $after) {{
  ... on StreamEvent {{ cursor }}
  ... on AlertEvent {{ raisedAt alert {{ {ALERT} }} }}
  ... on AlertGap {{ reason complete alerts {{ {ALERT} }} }} }} }}"""


@pytest.mark.parametrize("role", [StaffRole.RISK, StaffRole.FINANCE, StaffRole.OPERATIONS])
async def test_each_role_hears_of_what_it_can_act_on(house: House, role: StaffRole) -> None:
    viewer, staff = await create_viewer(), await create_staff(role)
    card = await create_card(viewer)
    done, large = await create_order(viewer, card), await create_order(viewer, card, yuan="2500.00")
    await recharge(done)
    heard = [kind for kind in (AlertKind.CASE, AlertKind.REVIEW, AlertKind.WORK) if role in AUDIENCES[kind]]
    async with Listener(house, staff_viewer(staff)) as client:
        await client.subscribe(ALERTS_QUERY)
        await listening(house, ALERTS)
        case = await open_case(staff, done)
        review, job = await await_review(large), await park_work()
        events = [(await client.data())["alerts"] for _ in heard]
    told = {
        AlertKind.CASE: {"case": {"id": global_id("Case", case.id), "order": {"id": global_id("Order", done.id)}}},
        AlertKind.REVIEW: {
            "review": {"id": global_id("OrderReview", review.id), "order": {"id": global_id("Order", large.id)}}
        },
        AlertKind.WORK: {"work": {"jobId": str(job.id), "kind": "query_payment", "reason": "nobody answers"}},
    }
    places = {AlertKind.CASE: 1, AlertKind.REVIEW: 2, AlertKind.WORK: 3}
    assert [event["alert"] for event in events] == [told[kind] for kind in heard]
    assert [event["cursor"] for event in events] == [await cursor_of(ALERTS, places[kind]) for kind in heard]


async def test_a_lock_of_sign_ins_is_told_of_once(house: House) -> None:
    viewer, staff = await create_viewer(), await create_staff(StaffRole.RISK)
    policy = replace(SignInPolicy.of(Settings()), per_user_max=2)
    subject, origin = Subject.of_owner(viewer.user_id, policy), Origin("mini-program", "grant")
    async with Listener(house, staff_viewer(staff)) as client:
        await client.subscribe(ALERTS_QUERY)
        await listening(house, ALERTS)
        for _ in range(3):
            await locks.failed(subject, origin=origin, reason="WRONG", policy=policy, now=utc_now())
        event = (await client.data())["alerts"]
    profile = global_id("Profile", viewer.user_id)
    assert event["alert"] == {"lock": {"subject": "owner", "name": None, "userId": profile, "failures": 2}}
    assert await Event.filter(stream=ALERTS).count() == 1


async def test_a_case_that_is_there_already_is_not_told_of_again(house: House) -> None:
    viewer, staff = await create_viewer(), await create_staff()
    order = await create_order(viewer, await create_card(viewer))
    await recharge(order)
    for _ in range(3):
        await open_case(staff, order)
    assert await Event.filter(stream=ALERTS).count() == 1


async def test_what_is_rolled_back_is_not_told(house: House) -> None:
    viewer = await create_viewer()
    order = await create_order(viewer, await create_card(viewer), yuan="2500.00")

    @transactional
    async def fail() -> None:
        await await_review(order)
        raise OSError("the power is gone")

    with pytest.raises(OSError, match="power"):
        await fail()
    assert (await Event.filter(stream=ALERTS).count(), await Review.all().count()) == (0, 0)


async def test_work_that_fails_too_often_is_told_of_once(house: House) -> None:
    job = await park_work()
    await Event.all().delete()
    await transactional(type(job).filter(id=job.id).update)(parked_at=None, lease_owner="tests")
    job.lease_owner, job.failures = "tests", 1
    assert not await work.fail(job, error="E", attempts_max=3, now=utc_now())
    assert await Event.filter(stream=ALERTS).count() == 0
    await type(job).filter(id=job.id).update(lease_owner="tests")
    job.failures = 2
    assert await work.fail(job, error="E", attempts_max=3, now=utc_now())
    (event,) = await Event.filter(stream=ALERTS)
    assert event.payload == {"kind": "WORK", "id": str(job.id)}


async def test_nobody_else_may_listen(house: House) -> None:
    async with Listener(house) as client:
        await client.subscribe(ALERTS_QUERY)
        assert await client.error_code() == "UNAUTHENTICATED"
    gone = await create_staff()
    await staff_operations.leave(name=gone.name, now=utc_now())
    for viewer in (await create_viewer(), staff_viewer(gone)):
        async with Listener(house, viewer) as client:
            for after in (None, "nonsense"):
                await client.subscribe(ALERTS_QUERY, variables={"after": after})
                assert await client.error_code() == "FORBIDDEN"
    assert house.system.hub._channels == {}


async def test_who_leaves_hears_nothing_more(house: House) -> None:
    staff = await create_staff()
    async with Listener(house, staff_viewer(staff)) as client:
        await client.subscribe(ALERTS_QUERY)
        await listening(house, ALERTS)
        await park_work()
        await client.data()
        await staff_operations.leave(name=staff.name, now=utc_now())
        await park_work()
        message = await client.receive()
    error = message["payload"][0] if message["type"] == "error" else message["payload"]["errors"][0]
    assert error["extensions"]["code"] == "FORBIDDEN"
