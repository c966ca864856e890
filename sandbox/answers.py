"""What both signed protocols share: refusals, strict reading of a request, and answers that never come."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.store import Document

SILENCE_MAX_S = 60.0
URL_LENGTH_MAX = 255
# Who sends this need not wait out a silence: the answer says at once, by the same header, that none would come.
TELL_SILENCE = "X-Sandbox-Tell-Silence"
SILENCE_STATUS = 504


class Refused(Exception):
    """A request that the third party turns down: the HTTP status, its error code and its words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code, self.message = status, code, message
        super().__init__(f"{status} {code}: {message}")


class Silence(Exception):
    """No answer would come, and the asking side wants to be told so."""


def told_of_silence(_request: Request, _silence: Exception) -> Response:
    return Response(status_code=SILENCE_STATUS, headers={TELL_SILENCE: "1"})


def target_of(request: Request) -> str:
    """Return the path and query exactly as they were sent, which is what a signature covers."""
    path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return path.decode("ascii") + (f"?{query.decode('ascii')}" if query else "")


def parse(body: bytes) -> Document:
    try:
        document = json.loads(body)
    except ValueError:
        raise Refused(400, "PARAM_ERROR", "请求体不是合法的 JSON") from None
    if not isinstance(document, dict):
        raise Refused(400, "PARAM_ERROR", "请求体不是对象")
    return document


def member(document: Document, name: str) -> Document:
    value = document.get(name)
    if not isinstance(value, dict):
        raise Refused(400, "PARAM_ERROR", f"{name} 必填")
    return value


def text(document: Document, name: str, pattern: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise Refused(400, "PARAM_ERROR", f"{name} 不符合规则")
    return value


def positive(document: Document, name: str) -> int:
    value: Any = document.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise Refused(400, "PARAM_ERROR", f"{name} 不是正整数")
    return value


def callback_url(document: Document) -> str:
    """Return the address for callbacks; it must be absolute and may carry no parameters."""
    url = text(document, "notify_url", rf".{{1,{URL_LENGTH_MAX}}}")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
        raise Refused(400, "PARAM_ERROR", "notify_url 不是不带参数的完整地址")
    return url


async def keep_silent(request: Request) -> None:
    """Say nothing until the asking side hangs up. Raises Silence where it wants to be told that nothing would come."""
    if TELL_SILENCE in request.headers:
        raise Silence
    try:
        async with asyncio.timeout(SILENCE_MAX_S):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return


def json_endpoint(handler: Callable[[Document], Document]) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of a control action, which takes and gives JSON."""

    async def endpoint(request: Request) -> Response:
        # A page of another origin cannot send this type without being asked for permission, which is never given.
        if request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            return JSONResponse({"code": "NOT_JSON", "message": "send application/json"}, 415)
        try:
            return JSONResponse(handler(parse(await request.body())))
        except Refused as error:
            return JSONResponse({"code": error.code, "message": error.message}, error.status)

    return endpoint
