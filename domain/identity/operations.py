"""Signing in."""

from __future__ import annotations

from datetime import datetime

from domain.identity.ports import MiniProgramLogin
from kernel.ids import new_id
from models.changes import of_users
from models.identity import User

NEW_USER_NAME = "油卡用户"


async def sign_in(*, code: str, login: MiniProgramLogin, now: datetime) -> User:
    """Return the user whom a `wx.login` code names, created at the first sign-in.

    Raises LoginCodeRefused or LoginUnavailable.
    """
    return await account_of(openid=await login.openid_of(code), now=now)


async def account_of(*, openid: str, now: datetime) -> User:
    """Return the user whom the platform vouches for, created at the first sign-in."""
    known = await User.get_or_none(openid=openid)
    if known is not None:
        # Most have been here before, and writing costs the rest of the house more than looking.
        return known
    newcomer = User(id=new_id(), openid=openid, display_name=NEW_USER_NAME, created_at=now)
    with of_users(newcomer.id):
        await User.bulk_create([newcomer], ignore_conflicts=True)
    return await User.get(openid=openid)
