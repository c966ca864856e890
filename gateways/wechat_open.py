"""The mini-program platform's login (小程序登录), `GET /sns/jscode2session`.

Source: WeChat's mini-program documentation, "小程序登录 code2Session". The platform signs nothing; TLS vouches for it.
"""

from __future__ import annotations

import httpx

from domain.identity.ports import LoginCodeRefused, LoginUnavailable
from gateways.documents import Document, Malformed, parse, text
from gateways.exchange import Unsettled, exchange
from kernel.logs import get_logger

PATH = "/sns/jscode2session"
CODE_LENGTH_MAX = 128
# 40029: the code is invalid or too old. 40163: it was used already.
REFUSED_CODES = frozenset({40029, 40163})

log = get_logger(__name__)


class WeChatOpen:
    """Implements `domain.identity.ports.MiniProgramLogin`.

    Of what the platform answers only the openid leaves this class; the session key, which decrypts a user's data, is
    dropped here. A code is good for one exchange, so a lost answer is not asked for again.
    """

    def __init__(self, *, client: httpx.AsyncClient, app_id: str, app_secret: str, timeout_s: float) -> None:
        self._client, self._app_id, self._app_secret, self._timeout_s = client, app_id, app_secret, timeout_s

    async def openid_of(self, code: str) -> str:
        """Exchange a `wx.login` code once for the user's openid. Raises LoginCodeRefused or LoginUnavailable."""
        if not 0 < len(code) <= CODE_LENGTH_MAX or not code.isascii():
            raise LoginCodeRefused
        try:
            answer = await exchange(self._client, lambda: self._request(code), budget_s=self._timeout_s, attempts_max=1)
            if answer.refused:
                raise Unsettled(f"status {answer.status}")
            return self._openid(parse(answer.body))
        except (Unsettled, Malformed) as error:
            log.warning("wechat_open.unavailable", reason=str(error))
            raise LoginUnavailable from None

    def _request(self, code: str) -> httpx.Request:
        parameters = {
            "appid": self._app_id,
            "secret": self._app_secret,
            "js_code": code,
            "grant_type": "authorization_code",
        }
        return self._client.build_request("GET", PATH, params=parameters)

    def _openid(self, document: Document) -> str:
        error = document.get("errcode", 0)
        if not isinstance(error, int):
            raise Malformed("errcode is not a number")
        if error in REFUSED_CODES:
            raise LoginCodeRefused
        if error != 0:
            # The message may repeat what was sent; the number is enough.
            raise Unsettled(f"errcode {error}")
        return text(document, "openid")
