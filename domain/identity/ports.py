"""What the identity room asks of the mini-program platform."""

from __future__ import annotations

from typing import Protocol

from kernel.errors import YoukaError


class LoginCodeRefused(YoukaError):
    code = "LOGIN_CODE_REFUSED"
    messages = {"zh-CN": "登录凭证无效或已使用", "en": "The login code is invalid or was used already"}


class LoginUnavailable(YoukaError):
    code = "LOGIN_UNAVAILABLE"
    messages = {"zh-CN": "登录服务暂不可用，请稍后再试", "en": "Sign-in is not available now, please try again"}


class MiniProgramLogin(Protocol):
    async def openid_of(self, code: str) -> str:
        """Exchange a `wx.login` code once for the user's openid. Raises LoginCodeRefused or LoginUnavailable."""
