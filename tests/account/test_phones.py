"""Another phone in the place of one: by a second proof for that very number."""

from __future__ import annotations

import pytest

from domain.account import phones
from domain.identity.codes import SmsCodeGone
from domain.identity.phone_numbers import read_phone
from domain.identity.viewer import Viewer
from domain.step_up.operations import StepUpGrantInvalid, StepUpNeeded
from domain.step_up.rules import Content
from kernel.clock import utc_now
from models.messages import UserPhone
from tests.factories import SEALER, create_grant, create_viewer
from tests.step_up.support import POLICY

OLD, NEW, THIRD = "13800000001", "13800000002", "13800000003"


async def keep(viewer: Viewer, number: str, grant: str | None = None) -> UserPhone:
    return await phones.keep(viewer=viewer, phone=read_phone(number), grant=grant, sealer=SEALER, now=utc_now())


async def test_the_first_is_bound_as_it_comes_and_another_one_is_not(database: str) -> None:
    viewer = await create_viewer()
    first = await keep(viewer, OLD)
    await keep(viewer, OLD)
    with pytest.raises(StepUpNeeded):
        await keep(viewer, NEW)
    grant = await create_grant(viewer, Content.of_phone(read_phone(NEW).e164))
    with pytest.raises(StepUpGrantInvalid):
        await keep(viewer, THIRD, grant)
    assert (await UserPhone.get()).phone_digest == first.phone_digest
    assert (await keep(viewer, NEW, grant)).phone_masked == "138****0002"


async def test_a_code_is_not_used_up_for_want_of_a_grant(database: str) -> None:
    viewer = await create_viewer()
    await keep(viewer, OLD)
    common = {"viewer": viewer, "code": "123456", "sealer": SEALER, "policy": POLICY.codes, "now": utc_now()}
    with pytest.raises(StepUpNeeded):
        await phones.confirm(phone=NEW, grant=None, **common)  # type: ignore[arg-type]
    with pytest.raises(SmsCodeGone):
        await phones.confirm(phone=NEW, grant="ysg_any", **common)  # type: ignore[arg-type]
