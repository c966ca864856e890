"""The mini-program platform's login: codes for pretend users, and `GET /sns/jscode2session`."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode, urlsafe_b64encode
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kernel.clock import utc_now
from kernel.settings import Settings
from sandbox.crypto import random_text
from sandbox.keys import Keys
from sandbox.store import Document, Kind, Store

CODE_LENGTH = 32
CODE_LIFETIME_S = 300
OPENID_LENGTH = 28


class WeChatOpenSandbox:
    def __init__(self, *, settings: Settings, keys: Keys, store: Store) -> None:
        self._settings, self._keys, self._store = settings, keys, store

    def routes(self) -> list[Route]:
        return [Route("/sns/jscode2session", self._jscode2session, methods=["GET"])]

    def login(self, user: str) -> str:
        """Return what `wx.login` would give this user's mini-program: a code for one exchange within five minutes."""
        code = random_text(CODE_LENGTH)
        expires_at = utc_now() + timedelta(seconds=CODE_LIFETIME_S)
        document: Document = {"openid": self.openid(user), "expires_at": expires_at.isoformat(), "used": False}
        self._store.put(Kind.LOGIN_CODE, code, document)
        return code

    def openid(self, user: str) -> str:
        """Return the same openid for the same user of the same mini-program, on every machine."""
        digest = hashlib.sha256(f"{self._settings.wechat_open_app_id}:{user}".encode()).digest()
        return f"o{urlsafe_b64encode(digest).decode()}"[:OPENID_LENGTH]

    async def _jscode2session(self, request: Request) -> Response:
        given = request.query_params
        if given.get("appid") != self._settings.wechat_open_app_id:
            return _refusal(40013, "invalid appid")
        if given.get("secret") != self._keys.app_secret:
            return _refusal(40125, "invalid appsecret")
        if given.get("grant_type") != "authorization_code":
            return _refusal(40002, "invalid grant_type")
        code = given.get("js_code", "")
        login = self._store.get(Kind.LOGIN_CODE, code)
        if login is None or datetime.fromisoformat(login["expires_at"]) <= utc_now():
            return _refusal(40029, "invalid code")
        if login["used"]:
            return _refusal(40163, "code been used")
        self._store.put(Kind.LOGIN_CODE, code, {**login, "used": True})
        return JSONResponse({"openid": login["openid"], "session_key": b64encode(os.urandom(16)).decode()})


def _refusal(code: int, message: str) -> Response:
    # The platform answers its errors with status 200.
    return JSONResponse({"errcode": code, "errmsg": message})
