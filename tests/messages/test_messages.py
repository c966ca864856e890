"""One consent is one message: whatever happens at once, is repeated, or is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import pytest

from domain.events.operations import append
from domain.events.streams import PRICES, EventType, arrivals_stream
from domain.identity.idempotency import IdempotencyKeyInvalid
from domain.identity.viewer import Viewer
from domain.messages import consents, purging, scanning
from domain.messages.consents import PriceWatchMissing, TooManyConsents, Watch
from domain.messages.operations import send, write
from domain.messages.policy import Policy
from domain.messages.ports import MessagesUnavailable, Outcome, Sending, TemplateOf, Templates
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import ConsentEnd, MessageState, MessageTemplate, Product, StationBrand
from models.database import transactional
from models.events import Event
from models.jobs import Job
from models.messages import MessageConsent, OutgoingMessage
from models.pricing import PriceZone
from models.stations import Station
from tests.factories import create_card, create_viewer

POLICY = Policy(consents_per_template_max=3, age_max=timedelta(hours=6))
ARRIVAL, PRICE_CHANGE = MessageTemplate.ARRIVAL, MessageTemplate.PRICE_CHANGE
append_event = transactional(append)

pytestmark = pytest.mark.usefixtures("database")


class Recorder:
    """Says what it is told to say, and keeps what it was asked to send."""

    def __init__(self, *answers: Sending | None) -> None:
        self.answers = list(answers)
        self.sent: list[str] = []

    @property
    def templates(self) -> Templates:
        return {ARRIVAL: TemplateOf("a"), PRICE_CHANGE: TemplateOf("p")}

    async def send(self, *, openid: str, template: MessageTemplate, content: Mapping[str, str]) -> Sending:
        answer = self.answers.pop(0) if self.answers else Sending(Outcome.SENT)
        if answer is None:
            raise MessagesUnavailable
        self.sent.append(openid)
        return answer


async def grant(viewer: Viewer, key: str = "grant-key-1", *, watch: Watch | None = None) -> None:
    template = PRICE_CHANGE if watch else ARRIVAL
    await consents.grant(viewer=viewer, templates=[template], watch=watch, key=key, policy=POLICY, now=utc_now())


async def left(viewer: Viewer, template: MessageTemplate = ARRIVAL) -> int:
    return {each.template: each.left for each in await consents.standings(user_id=viewer.user_id)}[template]


async def write_one(viewer: Viewer, event_key: str = "e1") -> UUID | None:
    return await write(
        user_id=viewer.user_id,
        template=ARRIVAL,
        event_key=event_key,
        content={"amount": "¥1.00"},
        occurred_at=utc_now(),
        now=utc_now(),
    )


async def arrive(viewer: Viewer) -> None:
    card = await create_card(viewer)
    payload = {"order_id": str(new_id()), "card_id": str(card.id), "amount_fen": 50_000}
    await append_event(
        stream=arrivals_stream(viewer.user_id), type=EventType.RECHARGE_ARRIVED, payload=payload, now=utc_now()
    )


class TestGranting:
    async def test_the_same_key_grants_nothing_twice(self) -> None:
        viewer = await create_viewer()
        await asyncio.gather(*(grant(viewer) for _ in range(10)))
        assert await left(viewer) == 1
        await grant(viewer, "grant-key-2")
        assert await left(viewer) == 2

    async def test_no_more_than_the_limit(self) -> None:
        viewer = await create_viewer()
        for number in range(3):
            await grant(viewer, f"grant-key-{number}")
        with pytest.raises(TooManyConsents):
            await grant(viewer, "grant-key-9")
        assert await left(viewer) == 3

    async def test_a_malformed_key_and_a_price_without_a_station(self) -> None:
        viewer = await create_viewer()
        with pytest.raises(IdempotencyKeyInvalid):
            await grant(viewer, "x")
        with pytest.raises(PriceWatchMissing):
            await grant(viewer, watch=Watch(new_id(), Product.GASOLINE_92))
        assert await MessageConsent.all().count() == 0


class TestSpending:
    async def test_a_consent_is_never_spent_twice(self) -> None:
        viewer = await create_viewer()
        await grant(viewer)
        await grant(viewer, "grant-key-2")
        written = await asyncio.gather(*(write_one(viewer, f"e{number}") for number in range(12)))
        assert len([each for each in written if each]) == 2
        assert await left(viewer) == 0
        messages = await OutgoingMessage.all()
        assert len({each.consent_id for each in messages}) == len(messages) == 2

    async def test_an_event_is_told_of_once(self) -> None:
        viewer = await create_viewer()
        await grant(viewer)
        await grant(viewer, "grant-key-2")
        written = await asyncio.gather(*(write_one(viewer) for _ in range(8)))
        assert len([each for each in written if each]) == 1
        assert await left(viewer) == 1
        assert await Job.filter(kind="send_message").count() == 1

    async def test_a_consent_is_for_what_comes_after_it(self) -> None:
        viewer = await create_viewer()
        before = utc_now()
        await grant(viewer)
        early = await write(
            user_id=viewer.user_id, template=ARRIVAL, event_key="e", content={}, occurred_at=before, now=utc_now()
        )
        assert early is None
        assert await left(viewer) == 1

    async def test_what_is_withdrawn_is_not_sent(self) -> None:
        viewer, recorder = await create_viewer(), Recorder()
        await grant(viewer)
        await grant(viewer, "grant-key-2")
        message_id = await write_one(viewer)
        assert message_id
        await consents.withdraw(viewer=viewer, templates=[ARRIVAL], now=utc_now())
        assert await send(message_id=message_id, sender=recorder, now=utc_now())
        assert recorder.sent == []
        assert await write_one(viewer, "e2") is None
        ends = await MessageConsent.all().order_by("id").values_list("end_reason", flat=True)
        assert sorted(map(str, ends)) == [ConsentEnd.SPENT, ConsentEnd.WITHDRAWN]


class TestSending:
    async def written(self) -> tuple[Viewer, UUID]:
        viewer = await create_viewer()
        await grant(viewer)
        message_id = await write_one(viewer)
        assert message_id
        return viewer, message_id

    @pytest.mark.parametrize(
        ("answer", "state", "left_after"),
        [
            (Sending(Outcome.SENT), MessageState.SENT, 0),
            (Sending(Outcome.NOT_ACCEPTED, 43101), MessageState.REFUSED, 0),
            (Sending(Outcome.UNKNOWN), MessageState.UNKNOWN, 0),
            (Sending(Outcome.TURNED_DOWN, 47003), MessageState.FAILED, 1),
        ],
    )
    async def test_it_is_settled_once(self, answer: Sending, state: MessageState, left_after: int) -> None:
        viewer, message_id = await self.written()
        recorder = Recorder(answer)
        sends = (send(message_id=message_id, sender=recorder, now=utc_now()) for _ in range(6))
        await asyncio.gather(*sends, return_exceptions=True)
        assert await send(message_id=message_id, sender=recorder, now=utc_now())
        assert len(recorder.sent) == 1
        message = await OutgoingMessage.get()
        # A second worker may have come upon it between the request and its outcome.
        assert message.state in {state, MessageState.UNKNOWN}
        assert await left(viewer) in {left_after, 0}

    async def test_what_was_not_sent_is_tried_again(self) -> None:
        _, message_id = await self.written()
        recorder = Recorder(None, Sending(Outcome.SENT))
        assert not await send(message_id=message_id, sender=recorder, now=utc_now())
        assert (await OutgoingMessage.get()).state is MessageState.PENDING
        assert await send(message_id=message_id, sender=recorder, now=utc_now())
        assert (await OutgoingMessage.get()).state is MessageState.SENT

    async def test_what_was_cut_off_is_unknown_and_not_repeated(self) -> None:
        _, message_id = await self.written()
        await OutgoingMessage.filter(id=message_id).update(state=MessageState.SENDING)
        recorder = Recorder()
        assert await send(message_id=message_id, sender=recorder, now=utc_now())
        assert recorder.sent == []
        assert (await OutgoingMessage.get()).state is MessageState.UNKNOWN

    async def test_what_the_platform_turned_down_can_be_spent_again(self) -> None:
        viewer, message_id = await self.written()
        await send(message_id=message_id, sender=Recorder(Sending(Outcome.TURNED_DOWN, 40037)), now=utc_now())
        assert await left(viewer) == 1
        assert await write_one(viewer, "e2")
        assert await left(viewer) == 0


class TestScanning:
    async def test_arrivals_of_those_who_accept(self) -> None:
        accepting, silent = await create_viewer(), await create_viewer()
        await scanning.scan(policy=POLICY, now=utc_now())
        await grant(accepting)
        for viewer in (accepting, silent, accepting):
            await arrive(viewer)
        assert await scanning.scan(policy=POLICY, now=utc_now()) == 1
        assert await scanning.scan(policy=POLICY, now=utc_now()) == 0
        message = await OutgoingMessage.get()
        assert message.user_id == accepting.user_id
        assert message.content["amount"] == "¥500.00"
        assert message.content["card"] == "0001"

    async def test_an_event_that_becomes_visible_late_is_found(self) -> None:
        viewer = await create_viewer()
        await scanning.scan(policy=POLICY, now=utc_now())
        await grant(viewer)
        await arrive(viewer)
        first = await Event.get()
        await arrive(viewer)
        # The first one is not committed yet when the second is looked at.
        await Event.filter(id=first.id).delete()
        assert await scanning.scan(policy=POLICY, now=utc_now()) == 1
        await grant(viewer, "grant-key-2")
        await MessageConsent.filter(grant_key="grant-key-2").update(granted_at=first.occurred_at - timedelta(seconds=1))
        late = Event(**{name: getattr(first, name) for name in first._meta.fields_db_projection})
        await late.save(force_create=True)
        assert await scanning.scan(policy=POLICY, now=utc_now()) == 1

    async def test_old_events_are_passed_by_and_read_no_more(self) -> None:
        viewer = await create_viewer()
        await scanning.scan(policy=POLICY, now=utc_now())
        await grant(viewer)
        await arrive(viewer)
        assert await scanning.scan(policy=POLICY, now=utc_now() + timedelta(days=1)) == 0
        assert await scanning.scan(policy=POLICY, now=utc_now()) == 0

    async def test_the_first_scan_tells_of_nothing_before_it(self) -> None:
        viewer = await create_viewer()
        await grant(viewer)
        await arrive(viewer)
        assert await scanning.scan(policy=POLICY, now=utc_now()) == 0

    async def test_price_changes_of_the_zone_and_product(self) -> None:
        await scanning.scan(policy=POLICY, now=utc_now())
        zone = await PriceZone.create(
            id=new_id(), province_code="310000", province_name="上海", code="all", name="上海市"
        )
        station = await Station.create(
            id=new_id(),
            source_key="s1",
            name="站",
            brand=StationBrand.SINOPEC,
            latitude=31.2,
            longitude=121.4,
            address="",
            zone=zone,
            province="上海市",
            city="上海市",
            district="徐汇区",
            created_at=utc_now(),
            updated_at=utc_now(),
        )
        of_92, of_95 = await create_viewer(), await create_viewer()
        await grant(of_92, watch=Watch(station.id, Product.GASOLINE_92))
        await grant(of_95, watch=Watch(station.id, Product.GASOLINE_95))
        payload = {
            "zone_id": str(zone.id),
            "product": "92",
            "milliyuan": 7_850,
            "effective_from": "2026-04-21T16:00:00+00:00",
        }
        await append_event(stream=PRICES, type=EventType.PRICE_CHANGED, payload=payload, now=utc_now())
        assert await scanning.scan(policy=POLICY, now=utc_now()) == 1
        message = await OutgoingMessage.get()
        assert message.user_id == of_92.user_id
        assert message.content == {
            "zone": "上海市",
            "product": "92号汽油",
            "price": "¥7.85",
            "time": "2026年4月22日 00:00",
        }


class TestBounds:
    async def test_one_run_writes_so_much_and_the_next_goes_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scanning, "WRITTEN_PER_RUN_MAX", 2)
        monkeypatch.setattr(scanning, "EVENTS_PER_PAGE_MAX", 2)
        await scanning.scan(policy=POLICY, now=utc_now())
        viewers = [await create_viewer() for _ in range(5)]
        for viewer in viewers:
            await grant(viewer)
            await arrive(viewer)
        later = utc_now() + timedelta(minutes=5)
        written = [await scanning.scan(policy=POLICY, now=later) for _ in range(4)]
        assert sum(written) == 5
        assert max(written) <= 3
        assert {each.user_id for each in await OutgoingMessage.all()} == {each.user_id for each in viewers}

    async def test_what_is_old_is_forgotten_and_what_is_left_stays(self) -> None:
        viewer = await create_viewer()
        await grant(viewer)
        await grant(viewer, "grant-key-2")
        message_id = await write_one(viewer)
        assert message_id
        await send(message_id=message_id, sender=Recorder(), now=utc_now())
        assert await purging.purge(before=utc_now() - timedelta(days=1), limit=10) == 0
        assert await purging.purge(before=utc_now() + timedelta(days=1), limit=10) == 1
        assert await OutgoingMessage.all().count() == 0
        assert await left(viewer) == 1
        assert await MessageConsent.all().count() == 1
