"""Calls of the mini-program platform that take an access token.

Source: WeChat's mini-program documentation, "服务端 API" and "全局返回码". The platform answers its refusals with the
status 200 and an `errcode`.
"""

from __future__ import annotations

import asyncio

import httpx

from gateways.documents import Document, Malformed, parse
from gateways.exchange import Unsettled, exchange
from gateways.wechat_open_token import AccessTokens, TokenUnavailable

# 40001: the token is invalid or not the newest. 40014: it is no token. 42001: it has expired.
TOKEN_REFUSED_CODES = frozenset({40001, 40014, 42001})
BUSY_CODE = -1


class WeChatOpenApi:
    """Posts a document once; where the platform refuses the token, once more with another one."""

    def __init__(self, *, client: httpx.AsyncClient, tokens: AccessTokens, timeout_s: float) -> None:
        self._client, self._tokens, self._timeout_s = client, tokens, timeout_s

    async def call(self, path: str, body: Document) -> tuple[int, Document]:
        """Return the `errcode` and the answer, within one budget of time.

        Raises TokenUnavailable where nothing was judged, and Unsettled where nobody knows.
        """
        sent = False
        try:
            async with asyncio.timeout(self._timeout_s):
                token = await self._tokens.current()
                sent = True
                code, document = await self._post(path, token, body)
                if code in TOKEN_REFUSED_CODES:
                    sent = False
                    token = await self._tokens.after_refusal(token)
                    sent = True
                    code, document = await self._post(path, token, body)
        except TimeoutError:
            raise Unsettled("timeout") if sent else TokenUnavailable("timeout") from None
        if code in TOKEN_REFUSED_CODES:
            raise TokenUnavailable(f"errcode {code} with a new token")
        return code, document

    async def _post(self, path: str, token: str, body: Document) -> tuple[int, Document]:
        answer = await exchange(
            self._client,
            lambda: self._client.build_request("POST", path, params={"access_token": token}, json=body),
            budget_s=self._timeout_s,
            attempts_max=1,
        )
        if answer.refused:
            raise Unsettled(f"status {answer.status}")
        try:
            document = parse(answer.body)
            code = document.get("errcode", 0)
            if isinstance(code, bool) or not isinstance(code, int):
                raise Malformed("errcode is not a number")
        except Malformed as error:
            raise Unsettled(str(error)) from None
        return code, document
