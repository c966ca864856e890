from __future__ import annotations

import asyncio

import pytest

from domain.cards import operations, queries
from domain.cards.operations import TooManyCards
from domain.cards.rules import CardNumberInvalid, masked, read_number
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import CardBrand
from models.cards import FuelCard
from models.joining import Joined
from tests.factories import PETROCHINA_NUMBER, SEALER, SINOPEC_NUMBER, create_card, create_viewer


@pytest.mark.parametrize(
    ("text", "brand"),
    [
        ("1000111100000000001", CardBrand.SINOPEC),
        (" 100011 1100-0000 00001 ", CardBrand.SINOPEC),
        ("9012345678901234", CardBrand.PETROCHINA),
        ("9012 3456 7890 1234", CardBrand.PETROCHINA),
    ],
)
def test_numbers_are_read_as_people_type_them(text: str, brand: CardBrand) -> None:
    number = read_number(text)
    assert number.brand is brand
    assert number.digits.isdigit()
    assert number.digits not in repr(number)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "100011110000000000",
        "10001111000000000011",
        "1000211100000000001",
        "8012345678901234",
        "901234567890123",
        "90123456789012345",
        "９０１２３４５６７８９０１２３４",
        "901234567890123a",
        "9012345678901234\x00",
        "9" * 10_000,
    ],
)
def test_wrong_digits_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(CardNumberInvalid) as refused:
        read_number(text)
    assert refused.value.values == {}


def test_people_see_four_digits() -> None:
    assert masked("0001") == "**** 0001"


@pytest.mark.usefixtures("database")
class TestBind:
    async def test_the_number_is_stored_sealed(self) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        stored = await FuelCard.get(id=card.id)
        assert SINOPEC_NUMBER.encode() not in bytes(stored.number_sealed)
        assert operations.open_number(stored, SEALER) == SINOPEC_NUMBER
        assert (stored.brand, stored.number_tail) == (CardBrand.SINOPEC, "0001")

    async def test_binding_again_and_at_once_returns_the_same_card(self) -> None:
        viewer = await create_viewer()
        cards = await asyncio.gather(*(create_card(viewer) for _ in range(8)))
        assert len({card.id for card in cards}) == 1
        assert await FuelCard.all().count() == 1

    async def test_two_people_may_share_a_card_and_never_see_each_others(self) -> None:
        one, other = await create_viewer(), await create_viewer()
        mine, theirs = await create_card(one), await create_card(other)
        assert mine.id != theirs.id
        assert await queries.usable(viewer=one, card_id=theirs.id) is None
        assert [card.id for card in await queries.of_viewer(viewer=one, first=10, after=None)] == [mine.id]

    async def test_a_person_binds_so_many_cards_and_no_more(self) -> None:
        viewer = await create_viewer()
        await create_card(viewer)
        with pytest.raises(TooManyCards):
            await operations.bind(viewer=viewer, number=PETROCHINA_NUMBER, sealer=SEALER, cards_max=1, now=utc_now())
        assert await FuelCard.all().count() == 1

    async def test_the_limit_holds_when_cards_are_bound_at_once(self) -> None:
        viewer = await create_viewer()
        numbers = [f"{int(SINOPEC_NUMBER) + number}" for number in range(12)]
        outcomes = await asyncio.gather(
            *(
                operations.bind(viewer=viewer, number=number, sealer=SEALER, cards_max=3, now=utc_now())
                for number in numbers
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(outcome, TooManyCards) for outcome in outcomes) == 9
        assert await FuelCard.all().count() == 3


async def test_a_card_that_there_is_not_fails_nobody_who_asked_at_the_same_time(database: str) -> None:
    card = await create_card(await create_viewer())
    loader = Joined(queries.by_ids)
    found, missing = await asyncio.gather(loader.load(card.id), loader.load(new_id()), return_exceptions=True)
    assert not isinstance(found, BaseException)
    assert found.id == card.id
    assert isinstance(missing, LookupError)
