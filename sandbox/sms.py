"""Text messages by Tencent Cloud: `SendSms` of API 3.0, kept so that a developer can read the code."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kernel.clock import utc_now
from kernel.settings import Settings
from sandbox.answers import Refused, keep_silent, parse
from sandbox.faults import Faults
from sandbox.keys import Keys
from sandbox.store import Document, Kind, Store
from sandbox.tc3 import ApiError, assert_signed

ACTION, VERSION = "SendSms", "2021-01-11"
NUMBER = re.compile(r"\+861\d{10}", re.ASCII)
PARAMETERS = 2
SHOWN_MAX = 50


class SmsSandbox:
    """Shares `/` with the other services of the cloud, as each has only its own host there."""

    def __init__(
        self,
        *,
        settings: Settings,
        keys: Keys,
        store: Store,
        faults: Faults,
        otherwise: Callable[[Request], Awaitable[Response]],
    ) -> None:
        self._settings, self._keys, self._store, self._faults = settings, keys, store, faults
        self._otherwise = otherwise

    def routes(self) -> list[Route]:
        return [Route("/", self._answer, methods=["POST"])]

    def state(self) -> Document:
        return {"sms": self._store.newest(Kind.SMS, SHOWN_MAX)}

    async def _answer(self, request: Request) -> Response:
        if request.headers.get("X-TC-Action") != ACTION:
            return await self._otherwise(request)
        fault = self._faults.take("sms", among=frozenset({"timeout", "error_500", "limit"}))
        if fault == "error_500":
            return Response("Internal Server Error", 500)
        try:
            body = await request.body()
            secret_id, secret_key = self._keys.face_secret_id, self._keys.face_secret_key
            assert_signed(request, body, service="sms", secret_id=secret_id, secret_key=secret_key)
            answer = self._send(request, body, limited=fault == "limit")
        except ApiError as error:
            answer = {"Error": {"Code": error.code, "Message": error.message}}
        if fault == "timeout":
            await keep_silent(request)
        return JSONResponse({"Response": {**answer, "RequestId": str(uuid4())}})

    def _send(self, request: Request, body: bytes, *, limited: bool) -> Document:
        if request.headers.get("X-TC-Version") != VERSION:
            raise ApiError("NoSuchVersion", "接口版本不存在")
        try:
            given = parse(body)
        except Refused:
            raise ApiError("InvalidParameter", "参数错误") from None
        numbers, parameters = given.get("PhoneNumberSet"), given.get("TemplateParamSet")
        if not isinstance(numbers, list) or len(numbers) != 1 or not isinstance(parameters, list):
            raise ApiError("InvalidParameterValue.IncorrectPhoneNumber", "手机号格式错误")
        if given.get("SmsSdkAppId") != self._settings.tencent_sms_sdk_app_id or len(parameters) != PARAMETERS:
            raise ApiError("FailedOperation.TemplateIncorrectOrUnapproved", "模板未审批或请求内容与模板不匹配")
        number = str(numbers[0])
        code = "Ok"
        if not NUMBER.fullmatch(number):
            code = "InvalidParameterValue.IncorrectPhoneNumber"
        if limited:
            code = "LimitExceeded.PhoneNumberDailyLimit"
        if code == "Ok":
            message: Document = {"phone": number, "parameters": parameters, "sent_at": utc_now().isoformat()}
            self._store.put(Kind.SMS, str(uuid4()), message)
        return {"SendStatusSet": [{"PhoneNumber": number, "Fee": int(code == "Ok"), "Code": code, "Message": code}]}
