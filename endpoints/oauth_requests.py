"""Reading a request to the authorization server, and answering in the words of its RFCs.

Errors have the shape of RFC 6749, section 5.2: `error`, and `error_description` for whoever writes the client.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from starlette.requests import Request
from starlette.responses import JSONResponse

from domain.access.clients import ClientRefused, Credentials
from domain.access.entering import ChallengeNeeded
from domain.access.rules import OAuthRefusal
from domain.access.sessions import GrantRefused
from domain.identity.codes import SmsTooSoon
from domain.identity.ports import LoginCodeRefused, LoginUnavailable, SmsUnavailable
from domain.signins.locks import SignInLocked
from domain.signins.rules import Place
from kernel.errors import YoukaError

FORM_TYPE = "application/x-www-form-urlencoded"
FIELDS_MAX = 20
ADDRESSES_MAX = 10_000
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}

Form = Mapping[str, str]


class RequestInvalid(OAuthRefusal):
    code = "REQUEST_INVALID"
    messages = {"zh-CN": "请求有误: {problem}", "en": "{problem}"}


class GrantTypeUnsupported(OAuthRefusal):
    code, error = "GRANT_TYPE_UNSUPPORTED", "unsupported_grant_type"
    messages = {"zh-CN": "不支持的grant_type", "en": "This grant_type is not supported"}


class TemporarilyUnavailable(OAuthRefusal):
    """Nothing was looked at, so the request may be sent again."""

    code, error, status = "TEMPORARILY_UNAVAILABLE", "temporarily_unavailable", 503
    messages = {"zh-CN": "服务暂不可用，请稍后再试", "en": "Not available now, please try again"}


class AddressLimited(OAuthRefusal):
    code, error, status = "ADDRESS_LIMITED", "temporarily_unavailable", 429
    messages = {"zh-CN": "请求过多，请稍后再试", "en": "There was too much of this from your address, try later"}


async def read_form(request: Request, *, size_max: int) -> Form:
    """Return the fields of a form, each of which may come once (RFC 6749, section 3.2). Raises RequestInvalid."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != FORM_TYPE:
        raise RequestInvalid(problem=f"send a form as {FORM_TYPE}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > size_max:
            raise RequestInvalid(problem=f"the form may have at most {size_max} bytes")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError as error:
        raise RequestInvalid(problem="the form cannot be read") from error
    return once(pairs)


def once(pairs: list[tuple[str, str]]) -> Form:
    """Raises RequestInvalid where a field comes twice, or holds what no database takes."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise RequestInvalid(problem="each field may come once")
    if any("\x00" in value for value in fields.values()):
        raise RequestInvalid(problem="a field holds a null character")
    return fields


def needed(form: Form, name: str, *, length_max: int = 4_096) -> str:
    """Raises RequestInvalid."""
    value = form.get(name)
    if not value or len(value) > length_max:
        raise RequestInvalid(problem=f"send the field {name}")
    return value


def credentials_of(request: Request, form: Form, *, default: str | None = None) -> Credentials:
    """Return what the request says of its client; `default` names it where it says nothing. Raises ClientRefused."""
    header = request.headers.get("authorization")
    if header is None:
        return Credentials(
            form.get("client_id") or default,
            form.get("client_secret"),
            form.get("client_assertion_type"),
            form.get("client_assertion"),
        )
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic" or {"client_secret", "client_assertion"} & form.keys():
        raise ClientRefused
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (ValueError, binascii.Error) as error:
        raise ClientRefused from error
    client_id = unquote_plus(name)
    if not colon or form.get("client_id", client_id) != client_id:
        raise ClientRefused
    return Credentials(client_id, unquote_plus(secret))


def place_of(request: Request, form: Form, *, header: str) -> Place | None:
    """Return where the client is: what our own proxy says, where it says anything, or what the client itself does."""
    told = request.headers.get(header) if header else None
    return Place.read(told) if told else Place.read(form.get("location"))


def refused(error: YoukaError, *, now: datetime) -> JSONResponse:
    """Return the answer to a refusal; whatever has no word in the RFCs is a request that cannot be granted."""
    if isinstance(error, LoginUnavailable | SmsUnavailable):
        error = TemporarilyUnavailable()
    elif isinstance(error, LoginCodeRefused):
        error = GrantRefused()
    elif isinstance(error, SmsTooSoon):
        error = AddressLimited()
    name, status = (error.error, error.status) if isinstance(error, OAuthRefusal) else ("invalid_request", 400)
    if isinstance(error, SignInLocked):
        name, status = AddressLimited.error, AddressLimited.status
    body: dict[str, Any] = {"error": name, "error_description": error.message("en")}
    if isinstance(error, ChallengeNeeded) and error.challenged:
        given = error.challenged
        body |= {"auth_session": given.auth_session, "phone": given.phone, "expires_in": given.expires_in_s}
    headers = dict(NO_STORE)
    if status == ClientRefused.status:
        headers["WWW-Authenticate"] = 'Basic realm="youka"'
    if status in {AddressLimited.status, TemporarilyUnavailable.status}:
        headers["Retry-After"] = _retry_after(error, status, now)
    return JSONResponse(body, status_code=status, headers=headers)


def _retry_after(error: YoukaError, status: int, now: datetime) -> str:
    """Return for how many seconds it is of no use to ask again."""
    if isinstance(error, SignInLocked):
        return str(max(1, math.ceil((error.values["retry_at"] - now).total_seconds())))
    return "60" if status == AddressLimited.status else "5"


def answer(body: Mapping[str, Any]) -> JSONResponse:
    return JSONResponse(dict(body), headers=NO_STORE)


class AddressLimit:
    """How often an address may do something in a window, such as be refused, so that nobody guesses at full speed.

    It is this process's own count and holds a bounded number of addresses; what must hold for all processes together,
    such as tries of a password, is counted in the database.
    """

    def __init__(self, *, maximum: int, window_s: float) -> None:
        self._maximum, self._window_s = maximum, window_s
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def check(self, address: str, *, now_s: float) -> None:
        """Raises AddressLimited."""
        began_s, count = self._counts.get(address, (now_s, 0))
        if now_s - began_s < self._window_s and count >= self._maximum:
            raise AddressLimited

    def count(self, address: str, *, now_s: float) -> None:
        began_s, count = self._counts.pop(address, (now_s, 0))
        if now_s - began_s >= self._window_s:
            began_s, count = now_s, 0
        self._counts[address] = (began_s, count + 1)
        if len(self._counts) > ADDRESSES_MAX:
            self._counts.popitem(last=False)
