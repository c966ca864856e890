"""The mini-program platform's calls with an access token: the token, shared phone numbers and subscribe messages.

Tokens behave as documented for `stable_token`: the ordinary mode returns the same one as long as it is valid, a forced
refresh ends it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kernel.clock import utc_now
from kernel.settings import Settings
from sandbox.answers import Refused, json_endpoint, keep_silent, parse
from sandbox.crypto import random_text
from sandbox.faults import Faults
from sandbox.keys import Keys
from sandbox.store import Document, Kind, Store
from sandbox.wechat_open import WeChatOpenSandbox

TOKEN_LENGTH = 136
TOKEN_LIFETIME_S = 7_200
CODE_LENGTH = 64
CODE_LIFETIME_S = 300
CONSENTS_MAX = 1_000
SHOWN_MAX = 50
THE_TOKEN = "current"
USER_LENGTH_MAX = 64
VALUE_LENGTH_MAX = 64


class WeChatOpenCallsSandbox:
    def __init__(
        self, *, settings: Settings, keys: Keys, store: Store, faults: Faults, login: WeChatOpenSandbox
    ) -> None:
        self._settings, self._keys, self._store, self._faults = settings, keys, store, faults
        self._login = login
        self._templates = {settings.arrival_template_id, settings.price_template_id} - {""}

    def routes(self) -> list[Route]:
        return [
            Route("/cgi-bin/stable_token", self._stable_token, methods=["POST"]),
            Route("/wxa/business/getuserphonenumber", self._phone_number, methods=["POST"]),
            Route("/cgi-bin/message/subscribe/send", self._send, methods=["POST"]),
            Route("/control/wx-phone", json_endpoint(self._share_phone), methods=["POST"]),
            Route("/control/wx-consent", json_endpoint(self._consent), methods=["POST"]),
            Route("/control/wx-token-revoke", json_endpoint(self._revoke), methods=["POST"]),
        ]

    def state(self) -> Document:
        return {"messages": self._store.newest(Kind.MESSAGE, SHOWN_MAX), "tokens": self._tokens_made()}

    def _share_phone(self, given: Document) -> Document:
        """Let a user share a number, as `getPhoneNumber` of the mini-program does; `age_s` and `appid` falsify it."""
        user, phone = given.get("user", "demo"), given.get("phone")
        if not isinstance(user, str) or not 0 < len(user) <= USER_LENGTH_MAX:
            raise Refused(400, "PARAM_ERROR", f"user is a text of 1 to {USER_LENGTH_MAX} characters")
        number = str(phone) if phone is not None else _number_of(user)
        code = random_text(CODE_LENGTH)
        document: Document = {
            "phone": number,
            "shared_at": (utc_now() - timedelta(seconds=int(given.get("age_s", 0)))).isoformat(),
            "appid": str(given.get("appid", self._settings.wechat_open_app_id)),
            "expires_at": (utc_now() + timedelta(seconds=CODE_LIFETIME_S)).isoformat(),
            "used": False,
        }
        self._store.put(Kind.PHONE_CODE, code, document)
        return {"code": code}

    def _consent(self, given: Document) -> Document:
        """Let a user tap on "accept" for messages of a template: `{"user": …, "template_id": …, "count": 1}`."""
        user, template, count = given.get("user", "demo"), given.get("template_id"), given.get("count", 1)
        if template not in self._templates or not isinstance(count, int) or not 0 <= count <= CONSENTS_MAX:
            raise Refused(400, "PARAM_ERROR", f"template_id is one of {', '.join(sorted(self._templates))}")
        openid = str(given.get("openid") or self._login.openid(str(user)))
        left = self._left(openid, str(template)) + count
        self._store.put(Kind.CONSENT, f"{openid}:{template}", {"left": left})
        return {"openid": openid, "left": left}

    def _revoke(self, given: Document) -> Document:
        """Forget the token, as when the secret is reset: whoever has it is refused with 40001."""
        self._store.delete(Kind.OPEN_TOKEN, THE_TOKEN)
        return {}

    async def _stable_token(self, request: Request) -> Response:
        fault = self._faults.take("wechat_open", among=frozenset({"timeout", "error_500", "token_error_500"}))
        if fault == "timeout":
            await keep_silent(request)
        if fault != "ok":
            return Response("Internal Server Error", 500)
        given = parse(await request.body())
        if given.get("grant_type") != "client_credential":
            return _refusal(40002, "invalid grant_type")
        if given.get("appid") != self._settings.wechat_open_app_id:
            return _refusal(40013, "invalid appid")
        if given.get("secret") != self._keys.app_secret:
            return _refusal(40125, "invalid appsecret")
        token = None if given.get("force_refresh") is True else self._token()
        if token is None:
            token = {
                "value": random_text(TOKEN_LENGTH),
                "expires_at": (utc_now() + timedelta(seconds=TOKEN_LIFETIME_S)).isoformat(),
            }
            self._store.put(Kind.OPEN_TOKEN, THE_TOKEN, token)
            self._store.put(Kind.OPEN_TOKEN, "made", {"count": self._tokens_made() + 1})
        left_s = int((datetime.fromisoformat(token["expires_at"]) - utc_now()).total_seconds())
        return JSONResponse({"access_token": token["value"], "expires_in": max(1, left_s)})

    async def _phone_number(self, request: Request) -> Response:
        refused = await self._unwilling(request)
        if refused is not None:
            return refused
        code = str(parse(await request.body()).get("code", ""))
        shared = self._store.get(Kind.PHONE_CODE, code)
        if shared is None or shared["used"] or datetime.fromisoformat(shared["expires_at"]) <= utc_now():
            return _refusal(40029, "invalid code")
        self._store.put(Kind.PHONE_CODE, code, {**shared, "used": True})
        shared_at = int(datetime.fromisoformat(shared["shared_at"]).timestamp())
        return JSONResponse(
            {
                "errcode": 0,
                "errmsg": "ok",
                "phone_info": {
                    "phoneNumber": shared["phone"],
                    "purePhoneNumber": shared["phone"],
                    "countryCode": "86",
                    "watermark": {"timestamp": shared_at, "appid": shared["appid"]},
                },
            }
        )

    async def _send(self, request: Request) -> Response:
        refused = await self._unwilling(request)
        if refused is not None:
            return refused
        given = parse(await request.body())
        openid, template, data = str(given.get("touser", "")), given.get("template_id"), given.get("data")
        if template not in self._templates:
            return _refusal(40037, "invalid template_id")
        if not isinstance(data, dict) or not data or not all(_is_value(each) for each in data.values()):
            return _refusal(47003, "argument invalid! data")
        left = self._left(openid, str(template))
        if left <= 0 or self._faults.take("wechat_open", among=frozenset({"not_accepted"})) != "ok":
            return _refusal(43101, "user refuse to accept the msg")
        self._store.put(Kind.CONSENT, f"{openid}:{template}", {"left": left - 1})
        message: Document = {
            "openid": openid,
            "template_id": template,
            "data": {name: each["value"] for name, each in data.items()},
            "sent_at": utc_now().isoformat(),
        }
        self._store.put(Kind.MESSAGE, random_text(CODE_LENGTH), message)
        if self._faults.take("wechat_open", among=frozenset({"send_then_timeout"})) != "ok":
            await keep_silent(request)
        return JSONResponse({"errcode": 0, "errmsg": "ok"})

    async def _unwilling(self, request: Request) -> Response | None:
        """Return the refusal of a call whose token is wrong, or that a fault is asked for; None where it may go on."""
        modes = frozenset({"timeout", "error_500", "token_expired", "quota", "busy"})
        fault = self._faults.take("wechat_open", among=modes)
        if fault == "timeout":
            await keep_silent(request)
        if fault in {"timeout", "error_500"}:
            return Response("Internal Server Error", 500)
        if fault == "token_expired":
            self._store.delete(Kind.OPEN_TOKEN, THE_TOKEN)
        token = self._token()
        if token is None or request.query_params.get("access_token") != token["value"]:
            return _refusal(40001, "invalid credential, access_token is invalid or not latest")
        if fault == "quota":
            return _refusal(45009, "reach max api daily quota limit")
        return _refusal(-1, "system error") if fault == "busy" else None

    def _token(self) -> Document | None:
        token = self._store.get(Kind.OPEN_TOKEN, THE_TOKEN)
        if token is None or datetime.fromisoformat(token["expires_at"]) <= utc_now():
            return None
        return token

    def _tokens_made(self) -> int:
        return int((self._store.get(Kind.OPEN_TOKEN, "made") or {"count": 0})["count"])

    def _left(self, openid: str, template: str) -> int:
        return int((self._store.get(Kind.CONSENT, f"{openid}:{template}") or {"left": 0})["left"])


def _number_of(user: str) -> str:
    """Return a number that nobody has: no operator has the prefix 100."""
    return f"100{int(hashlib.sha256(user.encode()).hexdigest(), 16) % 10**8:08d}"


def _is_value(given: object) -> bool:
    value = given.get("value") if isinstance(given, dict) else None
    return isinstance(value, str) and 0 < len(value) <= VALUE_LENGTH_MAX


def _refusal(code: int, message: str) -> Response:
    return JSONResponse({"errcode": code, "errmsg": message})
