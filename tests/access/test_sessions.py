"""Devices on which somebody is signed in: refresh tokens that are good once, the list, and signing out."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain.access.rules import hash_of
from domain.budgets.operations import Budgets
from domain.identity.tokens import authority
from kernel import keys
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import SessionEnd
from models.access import OAuthSession, RefreshToken
from models.identity import User
from subscriptions.access import Keeper
from tests.access.conftest import HOUR, WHO, Entrance, Partner, error_of, trace

SESSIONS = """
query ($first: Int! = 20, $after: String) {
  viewer {
    sessions(first: $first, after: $after) {
      edges { node { id clientName deviceName isCurrent scopes } }
      pageInfo { hasNextPage endCursor }
    }
  }
}"""
END = """
mutation ($id: ID!) {
  answer: endSession(input: { sessionId: $id }) {
    __typename
    ... on EndSessionSuccess { session { deviceName } }
    ... on UserError { code message }
  }
}"""
END_ALL = """
mutation ($keep: Boolean!) {
  answer: endAllSessions(input: { keepCurrent: $keep }) { ... on EndAllSessionsSuccess { endedCount } }
}"""


async def listed(entrance: Entrance, token: str) -> list[Any]:
    data = await entrance.ask(token, SESSIONS)
    return [edge["node"] for edge in data["viewer"]["sessions"]["edges"]]


class TestRefreshing:
    async def test_each_token_is_exchanged_for_the_next(self, entrance: Entrance) -> None:
        given = await entrance.sign_in("a", device_name="iPhone 17")
        assert (given["expires_in"], given["token_type"]) == (900, "Bearer")
        renewed = (await entrance.refresh(given["refresh_token"])).json()
        assert renewed["refresh_token"] != given["refresh_token"]
        assert renewed["scope"] == given["scope"]
        again = (await entrance.refresh(renewed["refresh_token"])).json()
        for each in (given, renewed, again):
            assert await entrance.is_let_in(each["access_token"])
        (session,) = await OAuthSession.all()
        assert session.device_name == "iPhone 17"
        # Only digests are kept.
        kept = {row.token_hash for row in await RefreshToken.all()}
        assert kept == {hash_of(each["refresh_token"]) for each in (given, renewed, again)}

    async def test_a_second_use_ends_the_whole_session(self, entrance: Entrance) -> None:
        given = await entrance.sign_in("a")
        other_device = await entrance.sign_in("a")
        renewed = (await entrance.refresh(given["refresh_token"])).json()
        assert error_of(await entrance.refresh(given["refresh_token"])) == (400, "invalid_grant")
        assert error_of(await entrance.refresh(renewed["refresh_token"])) == (400, "invalid_grant")
        for each in (given, renewed):
            answer = await entrance.post(each["access_token"], WHO)
            assert answer.status_code == 401
            assert answer.json()["errors"][0]["extensions"]["code"] == "SESSION_ENDED"
        assert await entrance.is_let_in(other_device["access_token"])
        assert (await entrance.refresh(other_device["refresh_token"])).status_code == 200
        ended = await OAuthSession.filter(ended_at__isnull=False)
        assert [session.end_reason for session in ended] == [SessionEnd.REFRESH_TOKEN_REUSED]

    async def test_of_five_at_once_one_succeeds_and_the_family_is_revoked(self, entrance: Entrance) -> None:
        given = await entrance.sign_in("a")
        answers = await asyncio.gather(*(entrance.refresh(given["refresh_token"]) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]
        (winner,) = [answer.json() for answer in answers if answer.status_code == 200]
        assert not await entrance.is_let_in(winner["access_token"])
        assert error_of(await entrance.refresh(winner["refresh_token"])) == (400, "invalid_grant")
        assert await RefreshToken.all().count() == 2

    async def test_a_token_may_ask_for_less_and_never_for_more(self, entrance: Entrance) -> None:
        given = await entrance.sign_in("a")
        before = await trace()
        for scope in ("webhooks", "profile webhooks", ""):
            answer = await entrance.refresh(given["refresh_token"], scope=scope)
            assert error_of(answer) == (400, "invalid_scope")
        assert await trace() == before
        less = (await entrance.refresh(given["refresh_token"], scope="profile")).json()
        assert less["scope"] == "profile"
        assert (await entrance.refresh(less["refresh_token"])).json()["scope"] == given["scope"]

    async def test_what_is_not_a_token_of_the_client_is_refused(self, entrance: Entrance) -> None:
        given = await entrance.sign_in("a")
        before = await trace()
        for token, client_id in (("yrt_nonsense", "mini-program"), (given["refresh_token"], "car")):
            assert error_of(await entrance.refresh(token, client_id=client_id)) == (400, "invalid_grant")
        assert error_of(await entrance.refresh(given["refresh_token"], client_id="nobody")) == (401, "invalid_client")
        assert await trace() == before
        assert (await entrance.refresh(given["refresh_token"])).status_code == 200

    async def test_an_expired_token_is_refused(self, entrance: Entrance) -> None:
        given = await entrance.sign_in("a")
        await RefreshToken.all().update(expires_at=utc_now() - HOUR)
        assert error_of(await entrance.refresh(given["refresh_token"])) == (400, "invalid_grant")

    async def test_the_session_of_an_account_that_is_gone_ends(self, entrance: Entrance) -> None:
        given = await entrance.sign_in("a")
        await User.all().delete()
        assert error_of(await entrance.refresh(given["refresh_token"])) == (400, "invalid_grant")
        assert not await entrance.is_let_in(given["access_token"])


class TestDevices:
    async def test_the_list_and_the_end_of_one(self, entrance: Entrance) -> None:
        phone = await entrance.sign_in("a", device_name="手机")
        tablet = await entrance.sign_in("a", device_name="平板")
        found = await listed(entrance, phone["access_token"])
        assert [(each["deviceName"], each["isCurrent"]) for each in found] == [("平板", False), ("手机", True)]
        assert {each["clientName"] for each in found} == {"油卡小程序"}
        answer = await entrance.ask(phone["access_token"], END, id=found[0]["id"])
        assert answer["answer"] == {"__typename": "EndSessionSuccess", "session": {"deviceName": "平板"}}
        assert not await entrance.is_let_in(tablet["access_token"])
        assert error_of(await entrance.refresh(tablet["refresh_token"])) == (400, "invalid_grant")
        assert [each["deviceName"] for each in await listed(entrance, phone["access_token"])] == ["手机"]
        again = await entrance.ask(phone["access_token"], END, id=found[0]["id"])
        assert (again["answer"]["__typename"], again["answer"]["code"]) == ("NotFound", "NOT_FOUND")

    async def test_somebody_elses_device_is_left_alone(self, entrance: Entrance) -> None:
        mine, theirs = await entrance.sign_in("a"), await entrance.sign_in("b")
        (their_session,) = await listed(entrance, theirs["access_token"])
        before = await trace()
        answer = await entrance.ask(mine["access_token"], END, id=their_session["id"])
        assert answer["answer"]["code"] == "NOT_FOUND"
        assert await trace() == before
        assert await entrance.is_let_in(theirs["access_token"])

    async def test_signing_out_everywhere_and_everywhere_else(self, entrance: Entrance) -> None:
        devices = [await entrance.sign_in("a") for _ in range(3)]
        stranger = await entrance.sign_in("b")
        here = devices[1]["access_token"]
        assert (await entrance.ask(here, END_ALL, keep=True))["answer"]["endedCount"] == 2
        assert [await entrance.is_let_in(each["access_token"]) for each in devices] == [False, True, False]
        assert (await entrance.ask(here, END_ALL, keep=False))["answer"]["endedCount"] == 1
        assert not await entrance.is_let_in(here)
        assert await entrance.is_let_in(stranger["access_token"])

    async def test_the_list_has_pages(self, entrance: Entrance) -> None:
        devices = [await entrance.sign_in("a", device_name=str(number)) for number in range(3)]
        token, names, after = devices[0]["access_token"], [], None
        while True:
            page = (await entrance.ask(token, SESSIONS, first=2, after=after))["viewer"]["sessions"]
            names += [edge["node"]["deviceName"] for edge in page["edges"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert names == ["2", "1", "0"]

    async def test_a_device_too_many_ends_the_one_longest_unseen(self, entrance: Entrance) -> None:
        first, second = await entrance.sign_in("a"), await entrance.sign_in("a")
        renewed = (await entrance.refresh(first["refresh_token"])).json()
        maximum = entrance.settings.sessions_per_user_max
        for _ in range(maximum - 1):
            await entrance.sign_in("a")
        assert await OAuthSession.filter(ended_at__isnull=True).count() == maximum
        assert await entrance.is_let_in(renewed["access_token"])
        assert not await entrance.is_let_in(second["access_token"])


class TestOtherProcesses:
    async def test_they_refuse_what_has_ended_here(self, entrance: Entrance) -> None:
        elsewhere = authority(entrance.settings)
        keeper = Keeper(elsewhere, entrance.settings, keys.sealer(entrance.settings), Budgets.of(entrance.settings))
        await keeper.look()
        given = await entrance.sign_in("a")
        viewer = elsewhere.authenticate(given["access_token"], now=utc_now())
        assert viewer.session_id is not None
        told: list[UUID] = []
        elsewhere.revocations.watch(viewer.session_id, lambda: told.append(viewer.user_id))
        await entrance.ask(given["access_token"], END_ALL, keep=False)
        assert not elsewhere.is_over(viewer)
        await keeper.look()
        assert elsewhere.is_over(viewer)
        assert told == [viewer.user_id]

    async def test_one_that_starts_later_knows_it_too(self, entrance: Entrance) -> None:
        given = await entrance.sign_in("a")
        await entrance.ask(given["access_token"], END_ALL, keep=False)
        elsewhere = authority(entrance.settings)
        await Keeper(elsewhere, entrance.settings, keys.sealer(entrance.settings), Budgets.of(entrance.settings)).look()
        viewer = authority(entrance.settings).authenticate(given["access_token"], now=utc_now())
        assert elsewhere.is_over(viewer)


class TestRevocation:
    """RFC 7009."""

    async def test_a_refresh_token_ends_its_session(self, entrance: Entrance) -> None:
        given = await entrance.sign_in("a")
        answer = await entrance.form("revoke", token=given["refresh_token"], client_id="mini-program")
        assert (answer.status_code, answer.json()) == (200, {})
        assert not await entrance.is_let_in(given["access_token"])
        assert (await OAuthSession.get()).end_reason is SessionEnd.SIGNED_OUT

    async def test_an_access_token_does_too(self, entrance: Entrance) -> None:
        given = await entrance.sign_in("a")
        answer = await entrance.form("revoke", token=given["access_token"], client_id="mini-program")
        assert answer.status_code == 200
        assert error_of(await entrance.refresh(given["refresh_token"])) == (400, "invalid_grant")

    async def test_an_unknown_token_is_no_error(self, entrance: Entrance) -> None:
        before = await trace()
        for token in ("nonsense", "yrt_nonsense", "a.b.c"):
            assert (await entrance.form("revoke", token=token, client_id="mini-program")).status_code == 200
        assert await trace() == before

    async def test_another_clients_token_is_left_alone(self, entrance: Entrance, partner: Partner) -> None:
        given = await entrance.sign_in("a")
        before = await trace()
        for token in (given["refresh_token"], given["access_token"]):
            assert error_of(await entrance.form("revoke", token=token, client_id="car")) == (400, "invalid_grant")
        assert await trace() == before
        assert await entrance.is_let_in(given["access_token"])


async def test_an_unknown_user_is_nobody(entrance: Entrance) -> None:
    token = entrance.tokens.issue(
        user_id=new_id(), client_id="mini-program", scopes=frozenset({"profile"}), now=utc_now()
    )
    assert (await entrance.ask(token, WHO))["viewer"] is None


async def test_a_rush_of_ends_is_never_forgotten_too_early(entrance: Entrance) -> None:
    """Where there are too many to keep, everything from before is refused."""
    tokens = authority(entrance.settings.model_copy(update={"revocations_kept_max": 2}))
    now = utc_now()
    viewers = []
    for _ in range(4):
        token = tokens.issue(
            user_id=new_id(), client_id="c", scopes=frozenset({"profile"}), now=now, session_id=new_id()
        )
        viewers.append(tokens.authenticate(token, now=now))
    later = now + timedelta(seconds=2)
    for viewer in viewers[:3]:
        assert viewer.session_id is not None
        tokens.revocations.add(viewer.session_id, until=later + HOUR, now=later)
    assert all(tokens.is_over(viewer) for viewer in viewers)
    scopes = frozenset({"profile"})
    fresh = tokens.issue(user_id=new_id(), client_id="c", scopes=scopes, now=later + timedelta(seconds=1))
    assert tokens.authenticate(fresh, now=later + timedelta(seconds=1)).client_id == "c"
