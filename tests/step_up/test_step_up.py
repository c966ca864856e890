"""Second proofs: bound to a person, a device, an action and its content, good once, a few tries, a few minutes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.account import spending
from domain.account.rules import OwnLimits
from domain.identity.codes import SmsCodeGone, SmsCodeWrong
from domain.identity.ports import FaceOutcome
from domain.identity.viewer import Viewer
from domain.step_up import operations
from domain.step_up.operations import (
    StepUpFaceFailed,
    StepUpFaceNotFinished,
    StepUpGone,
    StepUpGrantInvalid,
    StepUpNeeded,
    StepUpPhoneMissing,
    StepUpsTooMany,
)
from domain.step_up.rules import Content
from kernel.access_states import StepUpAction, StepUpState
from kernel.clock import utc_now
from kernel.ids import new_id
from models.database import transactional
from models.step_up import StepUpChallenge
from tests.factories import SEALER, create_viewer
from tests.step_up.support import POLICY, Proofs

LOW = OwnLimits(per_recharge_fen=10_000, per_day_fen=20_000)
HIGH = OwnLimits(per_recharge_fen=30_000, per_day_fen=20_000)
CONTENT = Content.of_limits(per_recharge_fen=HIGH.per_recharge_fen, per_day_fen=HIGH.per_day_fen)


@pytest.fixture
async def proofs(database: str) -> Proofs:
    made = Proofs(await create_viewer())
    await made.bind()
    await set_limits(made.viewer, LOW)
    return made


async def set_limits(viewer: Viewer, wanted: OwnLimits, grant: str | None = None) -> OwnLimits:
    return await spending.set_limits(viewer=viewer, wanted=wanted, grant=grant, sealer=SEALER, now=utc_now())


async def assert_unchanged(proofs: Proofs) -> None:
    assert await spending.own_limits(proofs.viewer.user_id) == LOW


async def test_both_proofs_give_a_grant_that_is_good_once(proofs: Proofs) -> None:
    grant = await proofs.grant(CONTENT)
    assert await set_limits(proofs.viewer, HIGH, grant) == HIGH
    await set_limits(proofs.viewer, LOW)
    with pytest.raises(StepUpGrantInvalid):
        await set_limits(proofs.viewer, HIGH, grant)
    await assert_unchanged(proofs)
    row = await StepUpChallenge.get()
    assert row.state is StepUpState.USED
    assert grant not in str(row.grant_hash)


async def test_of_uses_beside_each_other_one_wins(proofs: Proofs) -> None:
    grant = await proofs.grant(CONTENT)

    @transactional
    async def use() -> None:
        await operations.spend(viewer=proofs.viewer, content=CONTENT, grant=grant, sealer=SEALER, now=utc_now())

    ended = await asyncio.gather(*(use() for _ in range(5)), return_exceptions=True)
    assert [each for each in ended if each is None] == [None]
    assert sum(isinstance(each, StepUpGrantInvalid) for each in ended) == 4


async def test_what_is_rolled_back_has_not_used_it_up(proofs: Proofs) -> None:
    grant = await proofs.grant(CONTENT)

    @transactional
    async def breaks() -> None:
        await operations.spend(viewer=proofs.viewer, content=CONTENT, grant=grant, sealer=SEALER, now=utc_now())
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError):
        await breaks()
    assert await set_limits(proofs.viewer, HIGH, grant) == HIGH


async def test_it_is_good_for_nothing_else(proofs: Proofs) -> None:
    other = await create_viewer()
    device = replace(proofs.viewer, session_id=new_id())
    grant = await proofs.grant(CONTENT)
    late = utc_now() + POLICY.grant_lifetime + timedelta(seconds=1)
    for viewer, wanted, now in (
        (proofs.viewer, OwnLimits(40_000, 20_000), utc_now()),
        (proofs.viewer, OwnLimits(None, None), utc_now()),
        (device, HIGH, utc_now()),
        (proofs.viewer, HIGH, late),
    ):
        with pytest.raises(StepUpGrantInvalid):
            await spending.set_limits(viewer=viewer, wanted=wanted, grant=grant, sealer=SEALER, now=now)
    await set_limits(other, LOW)
    for wrong in (grant, "ysg_nothing", "x" * 5_000, "\x00"):
        with pytest.raises(StepUpGrantInvalid):
            await set_limits(other, HIGH, wrong)
    for none in (None, ""):
        with pytest.raises(StepUpNeeded):
            await set_limits(proofs.viewer, HIGH, none)
    await assert_unchanged(proofs)
    assert (await StepUpChallenge.get()).state is StepUpState.CONFIRMED


async def test_without_a_phone_nothing_is_begun(database: str) -> None:
    proofs = Proofs(await create_viewer())
    with pytest.raises(StepUpPhoneMissing):
        await proofs.start(CONTENT)
    assert (proofs.sender.codes, proofs.faces.subjects) == ([], {})
    assert await StepUpChallenge.all().count() == 0


async def test_a_face_is_waited_for_and_its_failure_ends_nothing_else(proofs: Proofs) -> None:
    started = await proofs.start(CONTENT)
    for outcome, told in (
        (FaceOutcome.PENDING, StepUpFaceNotFinished),
        (FaceOutcome.FAILED, StepUpFaceFailed),
    ):
        proofs.faces.outcome = outcome
        with pytest.raises(told):
            await proofs.confirm(started)
    proofs.faces.outcome = FaceOutcome.PASSED
    # The code was not used up by a face that was late.
    assert (await proofs.confirm(started)).text
    with pytest.raises(StepUpGone):
        await proofs.confirm(started)


async def test_a_face_that_was_shown_for_something_else_is_none(proofs: Proofs) -> None:
    started = await proofs.start(CONTENT)
    proofs.faces.subjects[started.face_token] = f"{proofs.viewer.user_id}:pay:{new_id()}"
    with pytest.raises(StepUpFaceFailed):
        await proofs.confirm(started)
    for wrong in ("", "another", "x" * 9_999):
        with pytest.raises(StepUpGone):
            await proofs.confirm(started, face_token=wrong)


async def test_guesses_are_counted(proofs: Proofs) -> None:
    started = await proofs.start(CONTENT)
    wrong = f"{(int(proofs.sender.codes[-1]) + 1) % 1_000_000:06d}"
    ended = await asyncio.gather(*(proofs.confirm(started, code=wrong) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(each, SmsCodeWrong) for each in ended) == POLICY.codes.attempts_max
    with pytest.raises(SmsCodeGone):
        await proofs.confirm(started)
    assert (await StepUpChallenge.get()).state is StepUpState.OPEN


async def test_somebody_else_confirms_nothing(proofs: Proofs) -> None:
    started = await proofs.start(CONTENT)
    stranger = await create_viewer()
    for viewer in (stranger, replace(proofs.viewer, session_id=new_id())):
        with pytest.raises(StepUpGone):
            await proofs.confirm(started, viewer=viewer)
    with pytest.raises(StepUpGone):
        await proofs.confirm(started, now=started.expires_at)
    with pytest.raises(StepUpGone):
        await proofs.confirm(started, challenge_id=None)
    assert (await StepUpChallenge.get()).attempts == 0


async def test_there_are_so_many_in_a_day(proofs: Proofs) -> None:
    policy = replace(POLICY, per_user_daily_max=2)
    for _ in range(2):
        await proofs.start(CONTENT, policy=policy)
    with pytest.raises(StepUpsTooMany):
        await proofs.start(CONTENT, policy=policy)
    assert len(proofs.sender.codes) == 2


def test_no_two_contents_are_written_alike() -> None:
    card, other = new_id(), new_id()
    contents = [
        Content(StepUpAction.SET_PAYMENT_PASSWORD),
        Content(StepUpAction.RESET_PAYMENT_PASSWORD),
        Content.of_card(card),
        Content.of_card(other),
        Content.of_limits(per_recharge_fen=1, per_day_fen=None),
        Content.of_limits(per_recharge_fen=None, per_day_fen=1),
        Content.of_phone("+8613800138000"),
        Content.of_mandate(transaction_fen=1, daily_fen=2, card_ids=[card], expires_at=None),
        Content.of_mandate(transaction_fen=1, daily_fen=2, card_ids=[card, other], expires_at=None),
        Content.of_mandate(transaction_fen=1, daily_fen=2, card_ids=[card], expires_at=utc_now()),
        Content.of_mandate(transaction_fen=12, daily_fen=2, card_ids=[card], expires_at=None),
    ]
    assert len({each.text for each in contents}) == len(contents)
