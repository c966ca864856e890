"""支付密码: which ones there may be, a few tries, and the wallet behind it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from domain.account import payment_passwords
from domain.account.payment_passwords import (
    Given,
    Keeper,
    PasswordPolicy,
    PaymentPasswordLocked,
    PaymentPasswordNeeded,
    PaymentPasswordNotSet,
    PaymentPasswordSet,
    PaymentPasswordWrong,
)
from domain.account.rules import PaymentPasswordMalformed, PaymentPasswordWeak, check_password
from domain.identity.viewer import Viewer
from domain.step_up.operations import StepUpGrantInvalid, StepUpNeeded
from domain.step_up.rules import Content
from kernel.access_states import StepUpAction
from kernel.clock import utc_now
from kernel.settings import Settings
from models.step_up import PaymentPassword
from tests.factories import SEALER, create_grant, create_viewer

KEEPER = Keeper(SEALER, PasswordPolicy.of(Settings()))
PASSWORD, OTHER = "739154", "402867"
SET, CHANGE, RESET = (
    StepUpAction.SET_PAYMENT_PASSWORD,
    StepUpAction.CHANGE_PAYMENT_PASSWORD,
    StepUpAction.RESET_PAYMENT_PASSWORD,
)


async def set_first(viewer: Viewer, password: str = PASSWORD) -> None:
    grant = await create_grant(viewer, Content(SET))
    await payment_passwords.set_first(viewer=viewer, password=password, grant=grant, keeper=KEEPER, now=utc_now())


async def pays(viewer: Viewer, password: str | None, *, after: timedelta = timedelta(0)) -> None:
    await payment_passwords.require(viewer=viewer, given=Given(password, KEEPER), now=utc_now() + after)


@pytest.mark.parametrize(
    "text", ["111111", "121212", "123123", "112112", "123456", "654321", "890123", "210987", "112221", "901231",
             "138001", "100831"]
)  # fmt: skip
def test_what_is_easy_to_guess_is_refused(text: str) -> None:
    with pytest.raises(PaymentPasswordWeak):
        check_password(text, phone="13800138000")


@pytest.mark.parametrize("text", ["", "12345", "1234567", "12345a", "１２３４５６", "7391 4", "7" * 9_999, "\x00" * 6])
def test_what_is_not_six_digits_is_none(text: str) -> None:
    with pytest.raises(PaymentPasswordMalformed):
        check_password(text, phone=None)


def test_what_is_left_is_taken() -> None:
    for text in (PASSWORD, OTHER, "135791"):
        check_password(text, phone="13800138000")
    check_password("139876", phone=None)


async def test_it_is_set_changed_and_reset_with_a_second_proof_for_each(database: str) -> None:
    viewer = await create_viewer()
    await pays(viewer, None)
    await set_first(viewer)
    digest = (await PaymentPassword.get()).password_hash
    assert PASSWORD not in digest
    with pytest.raises(PaymentPasswordNeeded):
        await pays(viewer, None)
    await pays(viewer, PASSWORD)
    with pytest.raises(PaymentPasswordSet):
        await set_first(viewer, OTHER)
    given = {"viewer": viewer, "password": OTHER, "keeper": KEEPER, "now": utc_now()}
    with pytest.raises(StepUpNeeded):
        await payment_passwords.change(**given, current=PASSWORD, grant=None)  # type: ignore[arg-type]
    for_reset = await create_grant(viewer, Content(RESET))
    with pytest.raises(StepUpGrantInvalid):
        await payment_passwords.change(**given, current=PASSWORD, grant=for_reset)  # type: ignore[arg-type]
    assert (await PaymentPassword.get()).password_hash == digest
    grant = await create_grant(viewer, Content(CHANGE))
    with pytest.raises(PaymentPasswordWrong):
        await payment_passwords.change(**given, current=OTHER, grant=grant)  # type: ignore[arg-type]
    await payment_passwords.change(**given, current=PASSWORD, grant=grant)  # type: ignore[arg-type]
    await pays(viewer, OTHER)
    await payment_passwords.reset(viewer=viewer, password=PASSWORD, grant=for_reset, keeper=KEEPER, now=utc_now())
    await pays(viewer, PASSWORD)


async def test_what_is_not_there_is_neither_changed_nor_reset(database: str) -> None:
    viewer = await create_viewer()
    grant = await create_grant(viewer, Content(RESET))
    for work in (
        payment_passwords.change(
            viewer=viewer, current=PASSWORD, password=OTHER, grant=grant, keeper=KEEPER, now=utc_now()
        ),
        payment_passwords.reset(viewer=viewer, password=OTHER, grant=grant, keeper=KEEPER, now=utc_now()),
    ):
        with pytest.raises(PaymentPasswordNotSet):
            await work
    assert await PaymentPassword.all().count() == 0


async def test_wrong_ones_lock_it_for_half_an_hour(database: str) -> None:
    viewer = await create_viewer()
    await set_first(viewer)
    lefts = []
    for guess in ("000000", "", "x" * 500, "1", "999998"):
        with pytest.raises((PaymentPasswordWrong, PaymentPasswordNeeded)) as caught:
            await pays(viewer, guess or "0")
        lefts.append(caught.value.values["attempts_left"])
    assert lefts == [4, 3, 2, 1, 0]
    with pytest.raises(PaymentPasswordLocked) as locked:
        await pays(viewer, PASSWORD)
    left = locked.value.values["retry_at"] - utc_now()
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)
    await pays(viewer, PASSWORD, after=timedelta(minutes=31))
    assert (await PaymentPassword.get()).failures == 0


async def test_a_reset_ends_the_lock(database: str) -> None:
    viewer = await create_viewer()
    await set_first(viewer)
    await PaymentPassword.filter(user_id=viewer.user_id).update(
        failures=5, locked_until=utc_now() + timedelta(minutes=20)
    )
    grant = await create_grant(viewer, Content(RESET))
    await payment_passwords.reset(viewer=viewer, password=OTHER, grant=grant, keeper=KEEPER, now=utc_now())
    await pays(viewer, OTHER)


async def test_guesses_beside_each_other_are_all_counted(database: str) -> None:
    viewer = await create_viewer()
    await set_first(viewer)
    ended = await asyncio.gather(*(pays(viewer, f"00000{n}") for n in range(9)), return_exceptions=True)
    assert sum(isinstance(each, PaymentPasswordWrong) for each in ended) == 5
    assert sum(isinstance(each, PaymentPasswordLocked) for each in ended) == 4


async def test_somebody_elses_is_another_one(database: str) -> None:
    one, other = await create_viewer(), await create_viewer()
    await set_first(one)
    await set_first(other, OTHER)
    with pytest.raises(PaymentPasswordWrong):
        await pays(one, OTHER)
    assert (await PaymentPassword.get(user_id=other.user_id)).failures == 0
