"""Codes by SMS: for one person and phone, a few tries, once; and the sender behind them on the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from domain.identity import codes
from domain.identity.codes import CodePolicy, SmsCodeGone, SmsCodeWrong, SmsTooSoon
from domain.identity.phone_numbers import PhoneInvalid, read_phone
from domain.identity.ports import Phone, SmsSender, SmsUnavailable
from domain.identity.viewer import Viewer
from gateways.assembly import third_parties
from kernel.clock import utc_now
from kernel.settings import Settings
from kernel.states import CodePurpose
from models.messages import SmsCode
from tests.factories import SEALER, create_viewer
from tests.sandbox_fixtures import Sandbox
from tests.silence import patient_third_parties

POLICY = replace(CodePolicy.of(Settings()), per_phone_max=3, per_user_max=4, per_address_max=5)
PHONE = "13800001234"
MINUTE = timedelta(minutes=1)


class Recorder:
    """Keeps the codes, or fails."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.codes: list[str] = []

    async def send_code(self, *, phone: Phone, code: str, lifetime: timedelta) -> None:
        self.codes.append(code)
        if self.fails:
            raise SmsUnavailable


async def ask(
    viewer: Viewer, sender: SmsSender, *, phone: str = PHONE, address: str = "1.2.3.4", now: datetime | None = None
) -> None:
    await codes.request(
        viewer=viewer,
        phone=phone,
        purpose=CodePurpose.BIND_PHONE,
        subject=str(viewer.user_id),
        address=address,
        sender=sender,
        sealer=SEALER,
        policy=POLICY,
        now=now or utc_now(),
    )


async def confirm(viewer: Viewer, code: str, *, phone: str = PHONE, now: datetime | None = None) -> Phone:
    return await codes.confirm(
        viewer=viewer,
        phone=phone,
        purpose=CodePurpose.BIND_PHONE,
        subject=str(viewer.user_id),
        code=code,
        sealer=SEALER,
        policy=POLICY,
        now=now or utc_now(),
    )


class TestNumbers:
    @pytest.mark.parametrize("text", ["13800001234", "+86 138 0000 1234", "86-13800001234"])
    def test_a_number(self, text: str) -> None:
        assert read_phone(text).e164 == "+8613800001234"

    @pytest.mark.parametrize(
        "text", ["", "1380000123", "23800001234", "+85213800001234", "１３８００００１２３４", "1" * 99]
    )
    def test_none(self, text: str) -> None:
        with pytest.raises(PhoneInvalid):
            read_phone(text)


@pytest.mark.usefixtures("database")
class TestCodes:
    async def test_it_is_good_once(self) -> None:
        viewer, sender = await create_viewer(), Recorder()
        await ask(viewer, sender)
        (code,) = sender.codes
        given = await asyncio.gather(*(confirm(viewer, code) for _ in range(4)), return_exceptions=True)
        assert len([each for each in given if isinstance(each, Phone)]) == 1
        assert all(isinstance(each, Phone | SmsCodeGone) for each in given)

    async def test_only_digests_are_kept(self) -> None:
        viewer, sender = await create_viewer(), Recorder()
        await ask(viewer, sender)
        kept = str(await SmsCode.all().values())
        for hidden in (sender.codes[0], PHONE, "1.2.3.4"):
            assert hidden not in kept

    async def test_guessing_ends_it(self) -> None:
        viewer, sender = await create_viewer(), Recorder()
        await ask(viewer, sender)
        (code,) = sender.codes
        wrong = f"{(int(code) + 1) % 1_000_000:06d}"
        guesses = await asyncio.gather(*(confirm(viewer, wrong) for _ in range(12)), return_exceptions=True)
        assert len([each for each in guesses if isinstance(each, SmsCodeWrong)]) == POLICY.attempts_max
        with pytest.raises(SmsCodeGone):
            await confirm(viewer, code)

    async def test_it_is_bound_to_person_phone_and_time(self) -> None:
        viewer, other, sender = await create_viewer(), await create_viewer(), Recorder()
        await ask(viewer, sender)
        (code,) = sender.codes
        with pytest.raises(SmsCodeGone):
            await confirm(other, code)
        with pytest.raises(SmsCodeGone):
            await confirm(viewer, code, phone="13900001234")
        with pytest.raises(SmsCodeGone):
            await confirm(viewer, code, now=utc_now() + POLICY.lifetime)
        assert (await confirm(viewer, code)).e164 == "+8613800001234"

    async def test_a_new_code_ends_the_one_before(self) -> None:
        viewer, sender = await create_viewer(), Recorder()
        await ask(viewer, sender, now=utc_now() - 2 * MINUTE)
        await ask(viewer, sender)
        first, second = sender.codes
        if first != second:
            with pytest.raises(SmsCodeWrong):
                await confirm(viewer, first)
        await confirm(viewer, second)

    async def test_one_a_minute(self) -> None:
        viewer, sender = await create_viewer(), Recorder()
        asked = await asyncio.gather(*(ask(viewer, sender) for _ in range(6)), return_exceptions=True)
        assert len([each for each in asked if isinstance(each, SmsTooSoon)]) == 5
        assert len(sender.codes) == 1

    async def test_several_people_and_one_phone(self) -> None:
        sender, viewers = Recorder(), [await create_viewer() for _ in range(6)]
        asked = await asyncio.gather(*(ask(viewer, sender) for viewer in viewers), return_exceptions=True)
        assert len([each for each in asked if isinstance(each, SmsTooSoon)]) == 5
        assert len(sender.codes) == 1

    async def test_limits_of_phone_user_and_address(self) -> None:
        viewer, sender, now = await create_viewer(), Recorder(), utc_now()
        for number in range(3):
            await ask(viewer, sender, now=now + 2 * number * MINUTE)
        with pytest.raises(SmsTooSoon):
            await ask(await create_viewer(), sender, now=now + 10 * MINUTE)
        await ask(viewer, sender, phone="13900000001", now=now + 12 * MINUTE)
        with pytest.raises(SmsTooSoon):
            await ask(viewer, sender, phone="13900000002", address="5.6.7.8", now=now + 14 * MINUTE)
        await ask(await create_viewer(), sender, phone="13900000003", now=now + 16 * MINUTE)
        with pytest.raises(SmsTooSoon):
            await ask(await create_viewer(), sender, phone="13900000004", now=now + 18 * MINUTE)
        assert len(sender.codes) == 5
        await ask(viewer, sender, now=now + timedelta(days=2))

    async def test_what_was_not_sent_counts_and_is_no_code(self) -> None:
        viewer, sender = await create_viewer(), Recorder(fails=True)
        with pytest.raises(SmsUnavailable):
            await ask(viewer, sender)
        with pytest.raises(SmsCodeGone):
            await confirm(viewer, sender.codes[0])
        with pytest.raises(SmsTooSoon):
            await ask(viewer, Recorder())


class TestOnTheSandbox:
    @pytest.fixture
    async def sms(self, sandbox: Sandbox) -> AsyncIterator[SmsSender]:
        async with patient_third_parties(sandbox.settings()) as parties:
            assert parties.platforms.sms is not None
            yield parties.platforms.sms

    async def send(self, sms: SmsSender) -> None:
        await sms.send_code(phone=Phone("86", "13800001234"), code="123456", lifetime=5 * MINUTE)

    async def test_it_arrives(self, sms: SmsSender, sandbox: Sandbox) -> None:
        await self.send(sms)
        newest = sandbox.state()["sms"][0]
        assert (newest["phone"], newest["parameters"]) == ("+8613800001234", ["123456", "5"])

    @pytest.mark.parametrize("mode", ["timeout", "error_500", "limit"])
    async def test_unavailable_and_sent_once_at_most(self, sms: SmsSender, sandbox: Sandbox, mode: str) -> None:
        before = len(sandbox.state()["sms"])
        sandbox.faults(sms=mode)
        with capture_logs() as logs, pytest.raises(SmsUnavailable):
            await self.send(sms)
        assert len(sandbox.state()["sms"]) == before + (mode == "timeout")
        for hidden in ("13800001234", "123456"):
            assert hidden not in str(logs)

    async def test_another_secret(self, sandbox: Sandbox) -> None:
        async with third_parties(sandbox.settings(tencent_secret_key="wrong")) as parties:
            assert parties.platforms.sms is not None
            with pytest.raises(SmsUnavailable):
                await self.send(parties.platforms.sms)
