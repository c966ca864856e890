"""Signing in."""

from __future__ import annotations

from datetime import datetime

from domain.identity.ports import MiniProgramLogin
from kernel.ids import new_id
from models.identity import User

NEW_USER_NAME = "油卡用户"


async def sign_in(*, code: str, login: MiniProgramLogin, now: datetime) -> User:
    """Return the user whom a `wx.login` code names, created at the first sign-in.

    Raises LoginCodeRefused or LoginUnavailable.
    """
    openid = await login.openid_of(code)
    newcomer = User(id=new_id(), openid=openid, display_name=NEW_USER_NAME, created_at=now)
    await User.bulk_create([newcomer], ignore_conflicts=True)
    return await User.get(openid=openid)
