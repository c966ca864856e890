"""The keys that sign access tokens: published before they sign, and until nothing that they signed is left."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import jwt
import pytest

from domain.access import signing_keys
from domain.access.signing_keys import LastSigningKey, RotationUnderWay, SigningKeyUnknown
from domain.budgets.operations import Budgets
from domain.identity.tokens import TokenAuthority, TokenRefused, authority
from kernel import keys
from kernel.clock import utc_now
from kernel.ids import new_id
from models.access import SigningKeyRow
from subscriptions.access import Keeper
from tests.access.conftest import Entrance


async def process(entrance: Entrance) -> tuple[TokenAuthority, Keeper]:
    """Return what another process would hold."""
    tokens = authority(entrance.settings)
    keeper = Keeper(tokens, entrance.settings, keys.sealer(entrance.settings), Budgets.of(entrance.settings))
    await keeper.look()
    return tokens, keeper


def issue(tokens: TokenAuthority, now: object = None) -> str:
    at = now or utc_now()
    return tokens.issue(user_id=new_id(), client_id="c", scopes=frozenset({"profile"}), now=at)  # type: ignore[arg-type]


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


async def rotate(entrance: Entrance, **changes: float) -> SigningKeyRow:
    settings = entrance.settings.model_copy(update=changes)
    return await signing_keys.rotate(
        sealer=keys.sealer(settings),
        policy=entrance.policy.of(settings),
        tokens=entrance.tokens,
        now=utc_now(),
    )


class TestRotation:
    async def test_processes_agree_by_the_clock(self, entrance: Entrance) -> None:
        (here, keeper), (there, other) = await process(entrance), await process(entrance)
        old = issue(here)
        made = await rotate(entrance)
        await keeper.look()
        await other.look()
        now = utc_now()
        published = {key["kid"] for key in here.key_set(now)["keys"]}
        assert published == {kid_of(old), made.kid}
        # The new key does not sign yet; when its time has come it does, everywhere.
        assert kid_of(issue(here)) == kid_of(old)
        later = made.active_from + timedelta(seconds=1)
        token = issue(here, later)
        assert kid_of(token) == made.kid
        assert there.authenticate(token, now=later).client_id == "c"

    async def test_the_old_one_is_taken_until_its_last_token_has_expired(self, entrance: Entrance) -> None:
        tokens, keeper = await process(entrance)
        made = await rotate(entrance)
        await keeper.look()
        last = issue(tokens, made.active_from - timedelta(seconds=1))
        near_its_end = made.active_from + timedelta(seconds=tokens.lifetime_s - 2)
        assert tokens.authenticate(last, now=near_its_end).client_id == "c"
        over = made.active_from + tokens.lifetime_with_skew + timedelta(seconds=1)
        assert {key["kid"] for key in tokens.key_set(over)["keys"]} == {made.kid}
        with pytest.raises(TokenRefused):
            tokens.authenticate(last, now=over)

    async def test_one_at_a_time(self, entrance: Entrance) -> None:
        await rotate(entrance)
        with pytest.raises(RotationUnderWay):
            await rotate(entrance)
        assert await SigningKeyRow.all().count() == 2

    async def test_the_list_says_what_each_is_for(self, entrance: Entrance) -> None:
        await rotate(entrance, signing_key_lead_s=0)
        await rotate(entrance)
        roles = [each.role for each in await signing_keys.standings(now=utc_now())]
        assert roles == ["next", "current", "previous"]

    async def test_private_keys_are_sealed(self, entrance: Entrance) -> None:
        await rotate(entrance)
        for row in await SigningKeyRow.all():
            assert b"PRIVATE KEY" not in bytes(row.private_sealed)


class TestTheft:
    async def test_nothing_that_a_stolen_key_has_signed_is_good(self, entrance: Entrance) -> None:
        tokens, keeper = await process(entrance)
        token = issue(tokens)
        await rotate(entrance)
        await signing_keys.revoke(kid=kid_of(token), now=utc_now())
        await keeper.look()
        with pytest.raises(TokenRefused):
            tokens.authenticate(token, now=utc_now())
        # The next key takes over at once.
        fresh = issue(tokens)
        assert kid_of(fresh) != kid_of(token)
        assert tokens.authenticate(fresh, now=utc_now()).client_id == "c"

    async def test_the_last_key_stays(self, entrance: Entrance) -> None:
        (row,) = await SigningKeyRow.all()
        with pytest.raises(LastSigningKey):
            await signing_keys.revoke(kid=row.kid, now=utc_now())
        with pytest.raises(SigningKeyUnknown):
            await signing_keys.revoke(kid="unknown", now=utc_now())
        assert (await SigningKeyRow.get()).expires_at is None


class TestSchedule:
    async def by_schedule(self, entrance: Entrance, now: datetime) -> datetime:
        return await signing_keys.rotate_by_schedule(
            sealer=keys.sealer(entrance.settings), policy=entrance.policy, tokens=entrance.tokens, now=now
        )

    async def test_a_key_gives_way_after_its_period(self, entrance: Entrance) -> None:
        tokens, keeper = await process(entrance)
        now, policy = utc_now(), entrance.policy
        due_at = await self.by_schedule(entrance, now)
        assert timedelta(days=29) < due_at - now <= policy.key_period
        assert await SigningKeyRow.all().count() == 1
        old = issue(tokens, due_at)
        again_at = await self.by_schedule(entrance, due_at)
        assert again_at == due_at + policy.key_lead + policy.key_period
        await keeper.look()
        # The next key is published and does not sign; the old one's tokens hold until they expire.
        assert len(tokens.key_set(due_at)["keys"]) == 2
        assert kid_of(issue(tokens, due_at)) == kid_of(old)
        later = due_at + policy.key_lead
        assert kid_of(issue(tokens, later)) != kid_of(old)
        last = issue(tokens, later - timedelta(seconds=1))
        tokens.authenticate(last, now=later + timedelta(minutes=14))
        assert await self.by_schedule(entrance, later) == again_at

    async def test_workers_beside_each_other_rotate_once(self, entrance: Entrance) -> None:
        await process(entrance)
        due_at = await self.by_schedule(entrance, utc_now())
        found = await asyncio.gather(*(self.by_schedule(entrance, due_at) for _ in range(4)))
        assert len(set(found)) == 1
        assert await SigningKeyRow.all().count() == 2

    async def test_a_command_beside_another_rotates_once(self, entrance: Entrance) -> None:
        await process(entrance)
        ended = await asyncio.gather(*(rotate(entrance) for _ in range(4)), return_exceptions=True)
        assert sum(isinstance(each, RotationUnderWay) for each in ended) == 3
        assert await SigningKeyRow.all().count() == 2
