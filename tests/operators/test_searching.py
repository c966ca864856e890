"""Finding orders: by each word, over an index, bounded, without personal data beyond the role, and written down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from tortoise import Tortoise
from tortoise.queryset import QuerySet

from domain.identity import phones
from domain.identity.phone_numbers import read_phone
from domain.identity.viewer import Viewer
from domain.operators import searching
from domain.operators.searching import Found, SearchInvalid, SearchTooBroad, Wanted, masked_name, search
from kernel.ids import new_id, read_number, short_text
from kernel.states import OrderState, PaymentState, RechargeState, StaffRole
from models.cards import FuelCard
from models.database import dialect, transactional
from models.identity import User
from models.messages import UserPhone
from models.orders import RechargeAttempt, RechargeOrder
from models.payments import PaymentAttempt
from models.staff_actions import StaffAction
from tests.factories import SEALER, create_card, create_order, create_staff, create_viewer

NAME, PHONE = "车主甲乙丙", "13800136789"
CARDS = ("1000111100000001234", "1000111100000005678")
NOW = datetime(2026, 5, 1, 4, 0, tzinfo=UTC)


async def create_found(number: int) -> tuple[Viewer, RechargeOrder]:
    """An order with everything that it can be found by."""
    viewer = await create_viewer()
    await User.filter(id=viewer.user_id).update(display_name=NAME)
    card = await create_card(viewer, CARDS[number % 2])
    order = await create_order(viewer, card, now=NOW + timedelta(minutes=number))
    await PaymentAttempt.create(
        id=new_id(), order_id=order.id, user_id=viewer.user_id, number=1, channel="wechat_pay",
        sub_mchid="1900000209", out_trade_no=f"{short_text(order.id)}01", amount_fen=order.price_fen,
        state=PaymentState.OPEN, transaction_id=f"42000018{number:020d}", created_at=NOW,
    )  # fmt: skip
    await RechargeAttempt.create(
        id=new_id(), order_id=order.id, user_id=viewer.user_id, number=1, issuer="sinopec",
        issuer_order_id=f"I{number}", state=RechargeState.SUBMITTED, submitted_at=NOW,
    )  # fmt: skip
    phone = read_phone(PHONE if number == 0 else f"1380013{number:04d}")
    await phones.keep(user_id=viewer.user_id, phone=phone, sealer=SEALER, now=NOW)
    return viewer, order


async def found(
    *, first: int = 20, after: Any = None, role: StaffRole = StaffRole.SUPPORT, **words: Any
) -> list[Found]:
    staff = await create_staff(role)
    return await search(staff=staff, wanted=Wanted(**words), first=first, after=after, now=NOW)


async def ids(**words: Any) -> list[Any]:
    return [each.order.id for each in await found(**words)]


@pytest.fixture
async def orders(database: str) -> list[RechargeOrder]:
    del database
    return [(await create_found(number))[1] for number in range(4)]


class TestWords:
    async def test_each_word_finds_its_order(self, orders: list[RechargeOrder]) -> None:
        one = orders[0]
        words: dict[str, list[str]] = {
            "number": [str(one.id), short_text(one.id), short_text(one.id).lower(), f"{short_text(one.id)}01"],
            "user_id": [str(one.user_id)],
            "transaction_id": [f"42000018{0:020d}"],
            "out_trade_no": [f"{short_text(one.id)}01"],
            "issuer_order_id": ["I0"],
            "phone_tail": [PHONE[-4:]],
        }
        for name, texts in words.items():
            for text in texts:
                assert await ids(**{name: text}) == [one.id], (name, text)
        assert await ids(card_tail=CARDS[0][-4:]) == [orders[2].id, orders[0].id]

    async def test_times_and_states_narrow_and_the_newest_comes_first(self, orders: list[RechargeOrder]) -> None:
        newest_first = [order.id for order in reversed(orders)]
        assert await ids(since=NOW) == newest_first
        assert await ids(since=NOW + timedelta(minutes=1), until=NOW + timedelta(minutes=3)) == newest_first[1:3]
        assert await ids(state=OrderState.PENDING_PAYMENT) == newest_first
        assert await ids(state=OrderState.FAILED) == []
        assert await ids(card_tail=CARDS[0][-4:], until=NOW + timedelta(minutes=1)) == [orders[0].id]

    async def test_words_that_fit_different_orders_find_nothing(self, orders: list[RechargeOrder]) -> None:
        assert await ids(number=str(orders[0].id), issuer_order_id="I1") == []
        assert await ids(user_id=str(orders[0].user_id), card_tail=CARDS[1][-4:]) == []

    @pytest.mark.parametrize(
        "words",
        [
            *({"number": text} for text in ("7", "U" * 26, "Z" * 26, str(uuid4()), "订单")),
            *({"user_id": text} for text in ("7", str(uuid4()))),
            *({"transaction_id": "1"}, {"out_trade_no": "1"}, {"issuer_order_id": "1"}),
            *({"card_tail": "0000"}, {"phone_tail": "0000"}),
        ],
    )
    async def test_what_is_not_there_is_not_found(self, orders: list[RechargeOrder], words: dict[str, str]) -> None:
        assert orders
        assert await ids(**words) == []

    async def test_pages_go_on_where_they_ended(self, orders: list[RechargeOrder]) -> None:
        await RechargeOrder.all().update(created_at=NOW)
        newest = sorted((order.id for order in orders), key=str, reverse=True)
        page = await found(first=3, since=NOW)
        assert [each.order.id for each in page] == newest[:3]
        last = page[-1].order
        assert [each.order.id for each in await found(after=(last.created_at, last.id), since=NOW)] == newest[3:]


@pytest.mark.usefixtures("database")
class TestRefusals:
    @pytest.mark.parametrize(
        "words",
        [
            {},
            *({"card_tail": text} for text in ("", "123", "12345", "12a4", "１２３４", "%%%%", "____")),
            *({"phone_tail": text} for text in ("", "123", "+123")),
            *({"number": text} for text in ("", "x" * 65, "a\0b")),
            {"transaction_id": "9" * 5_000},
            {"since": NOW, "until": NOW},
            {"since": NOW, "until": NOW - timedelta(days=1)},
        ],
    )
    async def test_what_would_read_everything_is_refused_and_not_written_down(self, words: dict[str, Any]) -> None:
        with pytest.raises(SearchInvalid):
            await found(**words)
        assert not await StaffAction.exists()

    async def test_a_tail_of_too_many_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(searching, "SAME_TAILS_MAX", 2)
        for _ in range(3):
            await create_card(await create_viewer(), CARDS[0])
        with pytest.raises(SearchTooBroad):
            await found(card_tail=CARDS[0][-4:])
        assert not await StaffAction.exists()


class TestPrivacy:
    async def test_names_are_whole_for_those_who_talk_with_customers(self, orders: list[RechargeOrder]) -> None:
        for role in StaffRole:
            (one,) = await found(number=str(orders[0].id), role=role)
            assert one.customer_name == (NAME if role in searching.KNOWS_NAMES else "车**")
            assert one.phone == "138****6789"
            assert one.card.number_tail == "1234"

    def test_a_masked_name_does_not_tell_its_length(self) -> None:
        assert (masked_name("李"), masked_name("李娜娜娜"), masked_name("")) == ("李**", "李**", "**")

    async def test_each_look_is_written_down(self, orders: list[RechargeOrder]) -> None:
        await found(card_tail=CARDS[0][-4:], phone_tail=PHONE[-4:])
        await found(transaction_id="4200000000000000000000000001")
        hit, miss = await StaffAction.all().order_by("position")
        assert (hit.action, hit.roles, hit.before) == ("searchOrders", "SUPPORT", None)
        assert hit.after == {"card_tail": "1234", "phone_tail": "***", "found": 1, "orders": [str(orders[0].id)]}
        assert miss.after == {"transaction_id": "***0001", "found": 0, "orders": []}

    async def test_a_look_that_cannot_be_written_down_shows_nothing(
        self, orders: list[RechargeOrder], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def refuse(**_given: Any) -> None:
            raise OSError("the disk is full")

        monkeypatch.setattr(searching, "looked", refuse)
        with pytest.raises(OSError, match="full"):
            await found(number=str(orders[0].id))


def test_a_number_is_read_back() -> None:
    for _ in range(100):
        identifier = new_id()
        assert read_number(short_text(identifier)) == read_number(f"{short_text(identifier)}07") == identifier
    assert read_number("Z" * 26) is read_number("I" * 26) is read_number("") is None


async def explained(rows: QuerySet[Any]) -> str:
    """Return how the database would read them, where it does not prefer to read small tables whole."""
    if dialect() == "postgres":
        await Tortoise.get_connection("default").execute_query("SET LOCAL enable_seqscan = off")
    return str([dict(row) for row in await rows.explain()])


@transactional
async def plan_of(words: dict[str, Any]) -> str:
    """Return how the orders that the words name would be read."""
    narrowed = await searching._narrowed(Wanted(**words))
    assert narrowed is not None
    for name, condition in (("state", "state"), ("since", "created_at__gte"), ("until", "created_at__lt")):
        if name in words:
            narrowed = narrowed.filter(**{condition: words[name]})
    return await explained(narrowed.order_by("-created_at", "-id").limit(20))


@pytest.mark.parametrize(
    "name",
    ["number", "user_id", "card_tail", "phone_tail", "transaction_id", "out_trade_no", "issuer_order_id", "since"],
)
async def test_no_way_reads_a_whole_table(orders: list[RechargeOrder], name: str) -> None:
    one = orders[0]
    words: dict[str, Any] = {
        "number": str(one.id),
        "user_id": str(one.user_id),
        "card_tail": "1234",
        "phone_tail": PHONE[-4:],
        "transaction_id": f"42000018{0:020d}",
        "out_trade_no": f"{short_text(one.id)}01",
        "issuer_order_id": "I0",
        "since": NOW,
    }
    for extra in ({}, {"state": OrderState.PENDING_PAYMENT}, {"until": NOW + timedelta(days=1)}):
        plan = await plan_of({name: words[name], **extra})
        assert "Seq Scan" not in plan, plan
        assert "SCAN " not in plan, plan
        assert "SEARCH" in plan or "Index" in plan, plan


@pytest.mark.usefixtures("database")
@transactional
async def test_no_tail_or_number_reads_a_whole_table() -> None:
    look_ups = (
        FuelCard.filter(number_tail="1234").order_by("id").limit(3),
        UserPhone.filter(phone_tail="1234").order_by("user_id").limit(3),
        PaymentAttempt.filter(out_trade_no="1"),
        PaymentAttempt.filter(transaction_id="1"),
        RechargeAttempt.filter(issuer_order_id="1").limit(3),
    )
    for rows in look_ups:
        plan = await explained(rows)
        assert "Seq Scan" not in plan, plan
        assert "SCAN " not in plan, plan
