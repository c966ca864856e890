"""Calls of the mini-program platform with an access token, on the sandbox: one token, phone numbers, messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from domain.identity.ports import PhoneCodeRefused, PhoneNumbers, PhoneUnavailable
from domain.messages.ports import MessageSender, MessagesUnavailable, Outcome, Sending
from domain.orders.ports import ThirdParties
from gateways.connections import open_client_of
from gateways.wechat_open_token import AccessTokens, TokenUnavailable
from kernel.settings import SANDBOX_ARRIVAL_TEMPLATE_ID, Settings
from kernel.states import MessageTemplate
from tests.sandbox_fixtures import Sandbox

CONTENT = {"amount": "¥500.00", "card": "0001", "time": "2026年4月21日 15:01"}


@pytest.fixture
def phones(parties: ThirdParties) -> PhoneNumbers:
    assert parties.platforms.phones is not None
    return parties.platforms.phones


@pytest.fixture
def messages(parties: ThirdParties) -> MessageSender:
    assert parties.platforms.messages is not None
    return parties.platforms.messages


@asynccontextmanager
async def counting(
    settings: Settings, sandbox: Sandbox, **changes: Any
) -> AsyncIterator[tuple[AccessTokens, list[bytes]]]:
    """Give tokens of the sandbox, and the bodies of the requests that went out for them."""
    bodies: list[bytes] = []

    async def note(request: httpx.Request) -> None:
        bodies.append(request.content)

    secret = (sandbox.keys / "wechat_open_app_secret").read_text()
    given = {"app_id": settings.wechat_open_app_id, "app_secret": secret, "timeout_s": 2.0, **changes}
    async with open_client_of(sandbox.url, settings) as client:
        client.event_hooks["request"].append(note)
        yield AccessTokens(client=client, **given), bodies


class TestTokens:
    async def test_one_request_for_everybody(self, settings: Settings, sandbox: Sandbox) -> None:
        async with counting(settings, sandbox) as (tokens, bodies):
            given = await asyncio.gather(*(tokens.current() for _ in range(50)))
            await tokens.current()
        assert len(set(given)) == 1
        assert len(bodies) == 1

    async def test_a_cancelled_caller_leaves_it_to_the_others(self, settings: Settings, sandbox: Sandbox) -> None:
        async with counting(settings, sandbox) as (tokens, bodies):
            first, second = asyncio.create_task(tokens.current()), asyncio.create_task(tokens.current())
            await asyncio.sleep(0)
            first.cancel()
            assert await second
        assert len(bodies) == 1

    async def test_a_refused_token_is_replaced_by_force_once(self, settings: Settings, sandbox: Sandbox) -> None:
        async with counting(settings, sandbox) as (tokens, bodies):
            old = await tokens.current()
            new = set(await asyncio.gather(*(tokens.after_refusal(old) for _ in range(20))))
            assert len(new) == 1
            assert old not in new
            # Whoever comes late with the old one is given the new one without a request.
            assert await tokens.after_refusal(old) in new
            assert len(bodies) == 3
            assert [b'"force_refresh":true' in body for body in bodies] == [False, False, True]

    async def test_a_token_that_another_process_refreshed_is_not_forced(
        self, settings: Settings, sandbox: Sandbox
    ) -> None:
        async with (
            counting(settings, sandbox) as (mine, bodies),
            counting(settings, sandbox) as (others, _),
        ):
            old = await mine.current()
            assert await others.current() == old
            sandbox.control("wx-token-revoke")
            new = await others.after_refusal(old)
            assert await mine.after_refusal(old) == new
            assert not any(b'"force_refresh":true' in body for body in bodies)

    async def test_a_second_force_waits_half_a_minute(self, settings: Settings, sandbox: Sandbox) -> None:
        clock = [0.0]
        async with counting(settings, sandbox, monotonic_s=lambda: clock[0]) as (tokens, _):
            second = await tokens.after_refusal(await tokens.current())
            with pytest.raises(TokenUnavailable):
                await tokens.after_refusal(second)
            clock[0] = 31.0
            assert await tokens.after_refusal(second) != second

    async def test_it_is_renewed_before_it_ends(self, settings: Settings, sandbox: Sandbox) -> None:
        clock = [0.0]
        async with counting(settings, sandbox, monotonic_s=lambda: clock[0]) as (tokens, bodies):
            await tokens.current()
            clock[0] = 7_200.0 - 200
            await tokens.current()
        assert len(bodies) == 2

    async def test_neither_token_nor_secret_is_told(self, settings: Settings, sandbox: Sandbox) -> None:
        secret = (sandbox.keys / "wechat_open_app_secret").read_text()
        with capture_logs() as logs:
            async with counting(settings, sandbox) as (tokens, _):
                token = await tokens.after_refusal(await tokens.current())
                assert token not in repr(tokens._token)
            async with counting(settings, sandbox, app_secret="wrong-secret") as (tokens, _):
                with pytest.raises(TokenUnavailable) as raised:
                    await tokens.current()
        for hidden in (token, secret, "wrong-secret"):
            assert hidden not in str(logs)
            assert hidden not in str(raised.value)


class TestPhones:
    async def test_a_shared_number(self, phones: PhoneNumbers, sandbox: Sandbox) -> None:
        phone = await phones.phone_of(sandbox.control("wx-phone", phone="13800001234")["code"])
        assert phone.e164 == "+8613800001234"
        assert phone.masked == "138****1234"
        assert "13800001234" not in repr(phone)

    async def test_a_code_is_good_once(self, phones: PhoneNumbers, sandbox: Sandbox) -> None:
        code = sandbox.control("wx-phone")["code"]
        await phones.phone_of(code)
        with pytest.raises(PhoneCodeRefused):
            await phones.phone_of(code)

    @pytest.mark.parametrize("lie", [{"appid": "wx0000000000000000"}, {"age_s": 3_600}, {"age_s": -3_600}])
    async def test_the_watermark_is_read(self, phones: PhoneNumbers, sandbox: Sandbox, lie: dict[str, Any]) -> None:
        with pytest.raises(PhoneCodeRefused):
            await phones.phone_of(sandbox.control("wx-phone", **lie)["code"])

    @pytest.mark.parametrize("code", ["", "x" * 129, "油", "invented"])
    async def test_an_invented_code(self, phones: PhoneNumbers, code: str) -> None:
        with pytest.raises(PhoneCodeRefused):
            await phones.phone_of(code)

    @pytest.mark.parametrize("mode", ["token_expired"])
    async def test_an_expired_token_is_no_concern_of_the_user(
        self, phones: PhoneNumbers, sandbox: Sandbox, mode: str
    ) -> None:
        await phones.phone_of(sandbox.control("wx-phone")["code"])
        sandbox.faults(wechat_open=mode, times=1)
        phone = await phones.phone_of(sandbox.control("wx-phone", phone="13900005678")["code"])
        assert phone.national == "13900005678"

    @pytest.mark.parametrize("mode", ["error_500", "quota", "busy", "timeout"])
    async def test_a_platform_that_fails_spends_nothing(
        self, phones: PhoneNumbers, hasty_parties: ThirdParties, sandbox: Sandbox, mode: str
    ) -> None:
        hasty = hasty_parties.platforms.phones
        assert hasty is not None
        code = sandbox.control("wx-phone")["code"]
        sandbox.faults(wechat_open=mode)
        with pytest.raises(PhoneUnavailable):
            await hasty.phone_of(code)
        sandbox.clear_faults()
        assert (await phones.phone_of(code)).country == "86"


class TestMessages:
    async def send(self, messages: MessageSender, openid: str) -> Sending:
        return await messages.send(openid=openid, template=MessageTemplate.ARRIVAL, content=CONTENT)

    def consent(self, sandbox: Sandbox, user: str, count: int = 1) -> str:
        return str(
            sandbox.control("wx-consent", user=user, template_id=SANDBOX_ARRIVAL_TEMPLATE_ID, count=count)["openid"]
        )

    def sent_to(self, sandbox: Sandbox, openid: str) -> list[Any]:
        return [each for each in sandbox.state()["messages"] if each["openid"] == openid]

    async def test_one_consent_is_one_message(self, messages: MessageSender, sandbox: Sandbox) -> None:
        openid = self.consent(sandbox, "one-consent")
        assert await self.send(messages, openid) == Sending(Outcome.SENT)
        assert await self.send(messages, openid) == Sending(Outcome.NOT_ACCEPTED, 43101)
        (message,) = self.sent_to(sandbox, openid)
        assert message["data"] == {"amount1": "¥500.00", "character_string2": "0001", "time3": "2026年4月21日 15:01"}

    async def test_an_expired_token_is_renewed_and_the_message_sent_once(
        self, messages: MessageSender, sandbox: Sandbox
    ) -> None:
        openid = self.consent(sandbox, "expired-token", 3)
        sandbox.faults(wechat_open="token_expired", times=1)
        assert (await self.send(messages, openid)).outcome is Outcome.SENT
        assert len(self.sent_to(sandbox, openid)) == 1

    async def test_a_lost_answer_is_unknown_and_not_asked_for_again(
        self, hasty_parties: ThirdParties, sandbox: Sandbox
    ) -> None:
        messages = hasty_parties.platforms.messages
        assert messages is not None
        openid = self.consent(sandbox, "lost-answer", 3)
        sandbox.faults(wechat_open="send_then_timeout", times=1)
        assert (await self.send(messages, openid)).outcome is Outcome.UNKNOWN
        assert len(self.sent_to(sandbox, openid)) == 1

    @pytest.mark.parametrize(("mode", "outcome"), [("busy", Outcome.UNKNOWN), ("error_500", Outcome.UNKNOWN)])
    async def test_what_nobody_knows(
        self, messages: MessageSender, sandbox: Sandbox, mode: str, outcome: Outcome
    ) -> None:
        openid = self.consent(sandbox, "nobody-knows")
        # The token is there already, so that the fault meets the message.
        await self.send(messages, openid)
        sandbox.faults(wechat_open=mode)
        assert (await self.send(messages, openid)).outcome is outcome

    @pytest.mark.parametrize("mode", ["token_error_500", "quota"])
    async def test_what_was_not_sent_may_be_tried_again(
        self, messages: MessageSender, sandbox: Sandbox, mode: str
    ) -> None:
        openid = self.consent(sandbox, f"not-sent-{mode}")
        sandbox.faults(wechat_open=mode)
        with pytest.raises(MessagesUnavailable):
            await self.send(messages, openid)
        assert self.sent_to(sandbox, openid) == []
        sandbox.clear_faults()
        assert (await self.send(messages, openid)).outcome is Outcome.SENT

    async def test_a_wrong_message_is_turned_down(self, messages: MessageSender, sandbox: Sandbox) -> None:
        openid = self.consent(sandbox, "wrong-message")
        sending = await messages.send(openid=openid, template=MessageTemplate.ARRIVAL, content={"amount": ""})
        assert sending == Sending(Outcome.TURNED_DOWN, 47003)
