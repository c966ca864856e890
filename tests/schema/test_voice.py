"""Conversations by voice over GraphQL: two turns for money, and nothing but an explicit yes moves any."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from domain.identity.tokens import authority
from domain.voice import sessions
from domain.voice.operations import MONEY_SCOPES
from kernel.clock import utc_now
from kernel.states import Product
from models.orders import RechargeOrder
from models.voice import VoiceSession
from tests.factories import PETROCHINA_NUMBER
from tests.sandbox_fixtures import Sandbox
from tests.schema.conftest import Client
from tests.schema.support import LANGUAGES, TOP_UP, ask, assert_message_is_whole, bind_card, trace, work
from tests.stations.support import create_prices, create_stations, station_record

TURN = """
mutation ($session: String!, $said: String!, $locale: SpokenLocale, $near: LocationInput, $token: String) {
  answer: voiceTurn(
    input: { session: $session, transcript: $said, locale: $locale, location: $near, confirmToken: $token }
  ) {
    __typename
    ... on VoiceTurnSuccess {
      speech ssml display intent confidence needsConfirmation
      proposal { amount { fen } card { id } station { name } product expiresAt confirmToken }
      order { id state amount { fen spoken(maxChars: 20) } spoken(locale: ZH_CN) }
    }
    ... on UserError { code message spoken(maxChars: 80) tight: spoken(maxChars: 3) }
  }
}"""
HOSTILE = [
    "<speak>充</speak><break time='9s'/>",
    "]]>&amp;\x00\x1b[2J",
    "充\u202e五百",
    "9" * 200,
    "\u202e\u0663\u0660\u0660元",
]
HERE = {"latitude": 31.2, "longitude": 121.4}


async def say(client: Client, said: str, *, session: str = "session-1", **more: Any) -> Any:
    return await ask(client, TURN, said=said, session=session, **more)


async def propose(client: Client, said: str = "给我的油卡充五百") -> str:
    """Return the token of the proposal."""
    answer = await say(client, said)
    assert answer["needsConfirmation"], answer
    return str(answer["proposal"]["confirmToken"])


async def fill_wallet(client: Client, sandbox: Sandbox, yuan: str = "1000.00") -> None:
    payment = (await ask(client, TOP_UP, amount=yuan, key="top-up-key-1"))["payment"]
    sandbox.control("pay", prepay_id=payment["package"].removeprefix("prepay_id="))
    await work(client)


def with_scopes(client: Client, *scopes: str) -> Client:
    assert client.viewer is not None
    token = authority(client.settings).issue(
        user_id=client.viewer.user_id, client_id="car", scopes=frozenset(scopes), now=utc_now()
    )
    return replace(client, headers={"Authorization": f"Bearer {token}"})


class TestRecharge:
    async def test_a_recharge_takes_two_turns(self, client: Client) -> None:
        card = await bind_card(client)
        before = await trace()
        first = await say(client, "给我的油卡充五百")
        assert (first["intent"], first["needsConfirmation"], first["order"]) == ("RECHARGE", True, None)
        assert first["speech"] == "给尾号零零零一的中石化卡充值五百元，确认吗？"
        assert first["display"] == "给中石化卡 **** 0001充值¥500.00，确认吗？"
        assert (first["proposal"]["amount"], first["confidence"]) == ({"fen": 50_000}, 100)
        assert first["proposal"]["card"] == {"id": card}
        assert await trace() == before
        second = await say(client, "确认", token=first["proposal"]["confirmToken"])
        assert (second["intent"], second["needsConfirmation"], second["proposal"]) == ("CONFIRM", False, None)
        assert second["order"]["state"] == "PENDING_PAYMENT"
        assert second["order"]["amount"] == {"fen": 50_000, "spoken": "五百元"}
        assert second["order"]["spoken"] == "充值五百元，待支付"
        assert "小程序" in second["speech"]

    async def test_the_wallet_pays_where_it_holds_enough(self, client: Client, sandbox: Sandbox) -> None:
        await bind_card(client)
        await fill_wallet(client, sandbox)
        answer = await say(client, "好的", token=await propose(client))
        assert answer["order"]["state"] == "RECHARGING"
        assert answer["speech"].startswith("已从钱包支付五百元")
        assert (await say(client, "刚才那笔到账了吗"))["speech"] == "最近一笔充值五百元，充值中。"
        await work(client)

    async def test_a_large_recharge_is_left_to_the_mini_program(self, client: Client, sandbox: Sandbox) -> None:
        await bind_card(client)
        await fill_wallet(client, sandbox, "5000.00")
        answer = await say(client, "确认", token=await propose(client, "充三千块"))
        assert answer["order"]["state"] == "PENDING_PAYMENT"

    async def test_another_amount_is_another_proposal(self, client: Client) -> None:
        await bind_card(client)
        token = await propose(client)
        before = await trace()
        again = await say(client, "确认充三百", token=token)
        assert (again["needsConfirmation"], again["proposal"]["amount"]["fen"]) == (True, 30_000)
        late = await say(client, "确认", token=token)
        assert (late["__typename"], late["code"]) == ("ConfirmationError", "CONFIRM_TOKEN_INVALID")
        assert await trace() == before
        assert (await say(client, "确认充三百", token=again["proposal"]["confirmToken"]))["order"]["amount"][
            "fen"
        ] == 30_000

    @pytest.mark.parametrize("said", ["嗯", "好像不对", "确认吗", "不要取消", "行不行", "确认？"])
    async def test_what_is_no_yes_moves_nothing(self, client: Client, said: str) -> None:
        await bind_card(client)
        token = await propose(client)
        before = await trace()
        answer = await say(client, said, token=token)
        assert answer["order"] is None
        assert answer["speech"].startswith("请说“确认”或“取消”")
        assert await trace() == before
        assert (await say(client, "确认", token=answer["proposal"]["confirmToken"]))["order"]["amount"]["fen"] == 50_000

    @pytest.mark.parametrize("said", ["取消", "算了不充了", "不对", "最近的加油站在哪", "帮助"])
    async def test_anything_else_ends_the_proposal(self, client: Client, said: str) -> None:
        await bind_card(client)
        token = await propose(client)
        before = await trace()
        await say(client, said)
        assert (await say(client, "确认", token=token))["speech"].startswith("没有待确认的充值")
        assert await trace() == before

    async def test_the_amount_is_asked_and_answered(self, client: Client) -> None:
        await bind_card(client)
        asked = await say(client, "帮我充值")
        assert (asked["speech"], asked["needsConfirmation"]) == ("请问要充值多少元？", False)
        assert (await say(client, "两三百吧"))["speech"] == "请说准确的金额，比如五百元。"
        assert (await say(client, "三百二"))["proposal"]["amount"]["fen"] == 32_000

    async def test_the_card_is_asked_where_there_are_several(self, client: Client) -> None:
        await bind_card(client)
        other = await bind_card(client, PETROCHINA_NUMBER)
        asked = await say(client, "充五百")
        assert asked["speech"].startswith("请问充哪张卡：尾号")
        assert not asked["needsConfirmation"]
        answer = await say(client, "中石油的那张")
        assert (answer["proposal"]["card"]["id"], answer["proposal"]["amount"]["fen"]) == (other, 50_000)
        assert (await say(client, "给尾号1234的卡充2000"))["proposal"]["card"]["id"] == other
        maybe = await say(client, "充1234")
        assert (maybe["intent"], maybe["needsConfirmation"]) == ("RECHARGE", False)

    async def test_a_limit_is_told_and_ends_the_proposal(self, client: Client) -> None:
        await bind_card(client)
        token = await propose(client)
        before = await trace()
        refused = await say(client, "改成一万块")
        assert (refused["__typename"], refused["code"]) == ("InvalidAmount", "AMOUNT_TOO_LARGE")
        assert (refused["spoken"], refused["tight"]) == ("单笔充值不能超过五千元", None)
        assert (await say(client, "确认", token=token))["order"] is None
        assert await trace() == before

    async def test_without_a_card_it_says_so(self, client: Client) -> None:
        assert "绑定" in (await say(client, "充五百"))["speech"]
        assert await VoiceSession.all().count() == 0


class TestTokens:
    async def test_no_token_no_recharge(self, client: Client) -> None:
        await bind_card(client)
        token = await propose(client)
        before = await trace()
        for wrong in (None, "", "x" * 32):
            answer = await say(client, "确认", token=wrong)
            assert (answer["__typename"], answer["code"]) == ("ConfirmationError", "CONFIRM_TOKEN_INVALID")
            assert_message_is_whole(answer["message"], "en")
        assert (await say(client, "确认", session="session-2", token=token))["order"] is None
        other = await client.another_person()
        await bind_card(other)
        await propose(other, "充三百块")
        stolen = await say(other, "确认", token=token)
        assert stolen["code"] == "CONFIRM_TOKEN_INVALID"
        assert (await trace())[0] == before[0]
        assert token not in str(await VoiceSession.all().values_list("state", flat=True))

    async def test_a_token_expires(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        await bind_card(client)
        token = await propose(client)
        before = await trace()
        late = utc_now() + timedelta(seconds=client.settings.voice_confirm_within_s)
        monkeypatch.setattr("schema.types.context.Context.now", property(lambda _self: late))
        assert (await say(client, "确认", token=token))["code"] == "CONFIRM_TOKEN_EXPIRED"
        assert await trace() == before

    async def test_the_same_yes_again_gives_the_same_order(self, client: Client) -> None:
        await bind_card(client)
        token = await propose(client)
        first = await say(client, "确认", token=token)
        again = await say(client, "确认", token=token)
        assert again["order"]["id"] == first["order"]["id"]
        assert await RechargeOrder.all().count() == 1

    async def test_many_yeses_at_once_make_one_order(self, client: Client, sandbox: Sandbox) -> None:
        await bind_card(client)
        await fill_wallet(client, sandbox, "2000.00")
        token = await propose(client)
        answers = await asyncio.gather(*(say(client, "确认", token=token) for _ in range(4)))
        assert {answer["order"]["id"] for answer in answers if answer.get("order")} == {
            (await say(client, "确认", token=token))["order"]["id"]
        }
        assert await RechargeOrder.all().count() == 1
        await work(client)

    async def test_scopes(self, client: Client) -> None:
        await bind_card(client)
        before = await trace()
        reading = with_scopes(client, "profile")
        for said in ("充五百", "充值"):
            answer = await say(reading, said)
            assert (answer["__typename"], answer["code"]) == ("VoiceNotAllowed", "VOICE_SCOPE_MISSING")
        assert await trace() == before
        assert await VoiceSession.all().count() == 0
        for scope in MONEY_SCOPES:
            await propose(with_scopes(client, scope))


class TestQuestions:
    async def test_nobody_may_ask_for_stations_and_prices(self, nobody: Client) -> None:
        prices = {
            ("310000", "上海市"): {Product.GASOLINE_92: 8_460},
            ("320000", "江苏省"): {Product.GASOLINE_92: 8_400},
        }
        await create_prices(prices)
        await create_stations(
            station_record(1, latitude=31.2001, longitude=121.4),
            station_record(2, latitude=31.21, longitude=121.4, province="江苏省"),
        )
        nearest = await say(nobody, "最近的加油站在哪儿", near=HERE)
        assert nearest["intent"] == "NEAREST_STATION"
        assert nearest["proposal"]["station"] == {"name": "中国石化(1号站)"}
        assert nearest["speech"] == "最近的是中国石化1号站，约一百米。"
        assert nearest["proposal"]["confirmToken"] is None
        cheapest = await say(nobody, "which station has the cheapest 92", near=HERE, locale="EN")
        assert cheapest["proposal"]["station"] == {"name": "中国石化(2号站)"}
        assert "eight point four yuan a litre" in cheapest["speech"]
        assert (await say(nobody, "今天92号多少钱", near=HERE))["speech"] == "这里九十二号汽油每升八点四六元。"
        assert (await say(nobody, "附近的加油站"))["speech"] == "请先允许使用位置。"
        assert (await say(nobody, "你能做什么"))["intent"] == "HELP"
        assert await VoiceSession.all().count() == 0

    async def test_what_is_somebodys_own_takes_somebody(self, nobody: Client) -> None:
        for said in ("余额多少", "订单到哪了", "充五百块"):
            answer = await say(nobody, said)
            assert (answer["__typename"], answer["code"]) == ("VoiceNotAllowed", "VOICE_SIGN_IN_NEEDED")

    async def test_balance_and_order(self, client: Client, sandbox: Sandbox) -> None:
        assert (await say(client, "我最近的订单"))["speech"] == "您还没有充值订单。"
        await fill_wallet(client, sandbox, "320.50")
        assert (await say(client, "钱包余额多少"))["speech"] == "钱包余额三百二十元五角。"
        english = await say(client, "what's my balance", locale="EN")
        assert english["speech"] == "Your wallet holds three hundred and twenty yuan and fifty fen."

    async def test_a_near_miss_is_asked_back(self, client: Client) -> None:
        asked = await say(client, "帮我看看还盛多少")
        assert (asked["intent"], asked["speech"]) == ("UNKNOWN", "没有听清，您是想查余额吗？")
        assert (await say(client, "是的"))["intent"] == "BALANCE"


class TestInput:
    async def test_bad_input_is_refused(self, client: Client) -> None:
        cases: list[tuple[dict[str, Any], str]] = [
            ({"session": "short"}, "VOICE_SESSION_INVALID"),
            ({"said": "  "}, "VOICE_TRANSCRIPT_INVALID"),
            ({"said": "充" * 201}, "VOICE_TRANSCRIPT_INVALID"),
            ({"near": {"latitude": 91, "longitude": 0}}, "LOCATION_INVALID"),
        ]
        for changes, code in cases:
            variables = {"session": "session-1", "said": "帮助", **changes}
            messages = {}
            for language in LANGUAGES:
                asking = replace(client, headers={**client.headers, "Accept-Language": language})
                answer = await ask(asking, TURN, **variables)
                assert (answer["__typename"], answer["code"]) == ("VoiceInputError", code)
                messages[language] = answer["message"]
            assert_message_is_whole(messages["zh-CN"], messages["en"])
        assert await VoiceSession.all().count() == 0

    @pytest.mark.parametrize("said", HOSTILE)
    async def test_hostile_words_stay_words(self, client: Client, said: str) -> None:
        await bind_card(client)
        answer = await say(client, said)
        assert answer["__typename"] == "VoiceTurnSuccess"
        root = ElementTree.fromstring(answer["ssml"])  # noqa: S314 - our own text
        assert {child.tag.rpartition("}")[2] for child in root} <= {"s"}
        assert answer["proposal"] is None or answer["proposal"]["amount"]["fen"] == 50_000

    async def test_sessions_are_limited_and_forgotten(self, client: Client) -> None:
        await bind_card(client)
        maximum = client.settings.voice_sessions_per_user_max
        for number in range(maximum):
            await say(client, "充值", session=f"session-{number}")
        answer = await say(client, "充值", session="one-too-many")
        assert (answer["__typename"], answer["code"]) == ("LimitReached", "TOO_MANY_VOICE_SESSIONS")
        later = utc_now() + timedelta(seconds=client.settings.voice_session_lifetime_s + 1)
        assert await sessions.purge(before=utc_now(), limit=100) == 0
        assert await sessions.purge(before=later, limit=3) == 3
        assert await sessions.purge(before=later, limit=100) == maximum - 3
