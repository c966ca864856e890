"""The mini-program login on the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from domain.identity.ports import LoginCodeRefused, LoginUnavailable
from domain.orders.ports import ThirdParties
from gateways.assembly import third_parties
from gateways.wechat_open import WeChatOpen
from kernel.settings import Settings
from tests.sandbox_fixtures import Sandbox


@asynccontextmanager
async def answering(handler: Callable[[httpx.Request], httpx.Response]) -> AsyncIterator[WeChatOpen]:
    transport = httpx.MockTransport(handler)
    async with httpx.AsyncClient(transport=transport, base_url="http://platform") as client:
        yield WeChatOpen(client=client, app_id="wx1", app_secret="app-secret", timeout_s=1)


class TestOnTheSandbox:
    async def test_a_user_is_the_same_every_time(self, parties: ThirdParties, sandbox: Sandbox) -> None:
        first = await parties.login.openid_of(sandbox.login_code("demo"))
        assert len(first) == 28
        assert first.startswith("o")
        assert await parties.login.openid_of(sandbox.login_code("demo")) == first
        assert await parties.login.openid_of(sandbox.login_code("another")) != first

    async def test_a_code_is_good_once(self, parties: ThirdParties, sandbox: Sandbox) -> None:
        code = sandbox.login_code()
        await parties.login.openid_of(code)
        with pytest.raises(LoginCodeRefused):
            await parties.login.openid_of(code)

    @pytest.mark.parametrize("code", ["", "x", "0" * 128, "0" * 129, "油", "a b&c=d"])
    async def test_an_invented_code(self, parties: ThirdParties, code: str) -> None:
        with pytest.raises(LoginCodeRefused):
            await parties.login.openid_of(code)

    @pytest.mark.parametrize("change", [{"wechat_open_app_id": "wx2"}, {"wechat_open_app_secret": "wrong"}])
    async def test_our_own_mistake_is_not_the_users(
        self, settings: Settings, sandbox: Sandbox, change: dict[str, object]
    ) -> None:
        async with third_parties(Settings(**{**settings.model_dump(), **change})) as parties:
            with pytest.raises(LoginUnavailable):
                await parties.login.openid_of(sandbox.login_code())


class TestAnswers:
    @pytest.mark.parametrize("errcode", [40029, 40163])
    async def test_refused(self, errcode: int) -> None:
        async with answering(lambda _: httpx.Response(200, json={"errcode": errcode, "errmsg": "no"})) as login:
            with pytest.raises(LoginCodeRefused):
                await login.openid_of("code")

    @pytest.mark.parametrize(
        "document",
        [
            {"errcode": -1, "errmsg": "system error"},
            {"errcode": 45011},
            {"errcode": 40013},
            {"errcode": "40029"},
            {"errcode": [40029]},
            {"openid": ""},
            {"openid": 5},
            {},
            [],
        ],
    )
    async def test_unavailable(self, document: Any) -> None:
        async with answering(lambda _: httpx.Response(200, json=document)) as login:
            with pytest.raises(LoginUnavailable):
                await login.openid_of("code")

    @pytest.mark.parametrize("status", [302, 400, 404, 429, 500])
    async def test_a_status_says_nothing_about_the_code(self, status: int) -> None:
        async with answering(lambda _: httpx.Response(status, json={"errcode": 40029})) as login:
            with pytest.raises(LoginUnavailable):
                await login.openid_of("code")

    async def test_a_lost_answer_is_not_asked_for_again(self) -> None:
        """The code may be spent by then, and the user would be told that it was wrong."""
        seen: list[httpx.Request] = []

        def handler(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            raise httpx.ReadError("cut")

        async with answering(handler) as login:
            with pytest.raises(LoginUnavailable):
                await login.openid_of("code")
        assert len(seen) == 1

    async def test_secrets_stay_inside(self) -> None:
        session = {"openid": "o1", "session_key": "session-key-1", "unionid": "u1"}

        def handler(request: httpx.Request) -> httpx.Response:
            if request.url.params["js_code"] == "good-code":
                return httpx.Response(200, json=session)
            if request.url.params["js_code"] == "lost-code":
                raise httpx.ConnectError(f"cannot reach {request.url}")
            return httpx.Response(200, json={"errcode": -1, "errmsg": str(request.url), "session_key": "session-key-1"})

        with capture_logs() as logs:
            async with answering(handler) as login:
                assert await login.openid_of("good-code") == "o1"
                for code in ("lost-code", "busy-code"):
                    with pytest.raises(LoginUnavailable) as caught:
                        await login.openid_of(code)
                    assert caught.value.__cause__ is None
                    logs.append({"error": repr(caught.value)})
        assert len(logs) == 4
        for secret in ("session-key-1", "app-secret", "good-code", "lost-code", "busy-code"):
            assert secret not in str(logs)
