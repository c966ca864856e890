"""Face verification by Tencent Cloud: `DetectAuth` and `GetDetectInfoEnhanced` of API 3.0, and the user before it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
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

VERSION = "2018-03-01"
EXTRA_LENGTH_MAX = 1024
# For so long a result is told.
RESULT_LIFETIME = timedelta(days=3)
PASSED, FAILED, EXPIRED = OUTCOMES = ("passed", "failed", "expired")
# 无法判断为同一人: the picture is not that of the identity document.
ANOTHER_PERSON = 2016
# Nobody's (no region has this number), and there so that a house which lets them out is found out.
PRETEND_NAME, PRETEND_NUMBER = "韦沙箱", "00000019491001997X"


class TencentFaceSandbox:
    def __init__(self, *, settings: Settings, keys: Keys, store: Store, faults: Faults) -> None:
        self._settings, self._keys, self._store, self._faults = settings, keys, store, faults
        self._actions: dict[str, Callable[[Document], Document]] = {
            "DetectAuth": self._detect_auth,
            "GetDetectInfoEnhanced": self._get_detect_info,
        }

    def routes(self) -> list[Route]:
        return [Route("/", self.answer, methods=["POST"])]

    async def answer(self, request: Request) -> Response:
        """Answer a request of API 3.0 at `/`."""
        fault = self._faults.take("face", among=frozenset({"timeout", "error_500", "rate_limit"}))
        if fault == "timeout":
            await keep_silent(request)
        if fault == "error_500":
            return Response("Internal Server Error", 500)
        request_id = str(uuid4())
        try:
            if fault == "rate_limit":
                raise ApiError("RequestLimitExceeded", "您当前每秒请求次数超过了频率限制")
            body = await request.body()
            secret_id, secret_key = self._keys.face_secret_id, self._keys.face_secret_key
            assert_signed(request, body, service="faceid", secret_id=secret_id, secret_key=secret_key)
            answer = self._act(request, body)
        except ApiError as error:
            answer = {"Error": {"Code": error.code, "Message": error.message}}
        return JSONResponse({"Response": {**answer, "RequestId": request_id}})

    def _act(self, request: Request, body: bytes) -> Document:
        action = self._actions.get(request.headers.get("X-TC-Action", ""))
        if action is None:
            raise ApiError("InvalidAction", "接口不存在")
        if request.headers.get("X-TC-Version") != VERSION:
            raise ApiError("NoSuchVersion", "接口版本不存在")
        try:
            return action(parse(body))
        except Refused:
            raise ApiError("InvalidParameter", "参数错误") from None

    def _detect_auth(self, given: Document) -> Document:
        self._assert_rule(given)
        extra, redirect_url = given.get("Extra", ""), given.get("RedirectUrl", "")
        if not all(isinstance(each, str) and len(each) <= EXTRA_LENGTH_MAX for each in (extra, redirect_url)):
            raise ApiError("InvalidParameterValue", "参数取值错误")
        token = str(uuid4()).upper()
        session: Document = {
            "token": token,
            "extra": extra,
            "redirect_url": redirect_url,
            "outcome": None,
            "created_at": utc_now().isoformat(),
        }
        self._store.put(Kind.FACE, token, session)
        # The page of the sandbox is where the user goes through it.
        return {"BizToken": token, "Url": f"{self._settings.sandbox_url}/#{token}"}

    def _get_detect_info(self, given: Document) -> Document:
        self._assert_rule(given)
        session = self._store.get(Kind.FACE, str(given.get("BizToken", "")))
        if session is None:
            raise ApiError("InvalidParameterValue.BizTokenIllegal", "BizToken不合法")
        if session["outcome"] == EXPIRED or datetime.fromisoformat(session["created_at"]) + RESULT_LIFETIME < utc_now():
            raise ApiError("InvalidParameterValue.BizTokenExpired", "BizToken过期")
        return {"Text": _detect_info(session), "IdCardData": None, "BestFrame": None, "VideoData": None}

    def _assert_rule(self, given: Document) -> None:
        if given.get("RuleId") != self._settings.tencent_face_rule_id:
            raise ApiError("InvalidParameterValue.RuleIdNotExist", "RuleId不存在，请到人脸核身控制台申请")

    def settle(self, token: str, outcome: str) -> Document:
        """Let the user pass, fail, or come too late. Who failed may try again; who passed is done. Raises Refused."""
        session = self._store.get(Kind.FACE, token)
        if session is None:
            raise Refused(404, "NOT_FOUND", "there is no such token")
        if session["outcome"] in {PASSED, EXPIRED}:
            raise Refused(409, "FINISHED", f"it has {session['outcome']} already")
        session["outcome"] = outcome
        self._store.put(Kind.FACE, token, session)
        return session


def _detect_info(session: Document) -> Document:
    code, message = {
        None: (None, None),
        PASSED: (0, "成功"),
        FAILED: (ANOTHER_PERSON, "无法判断为同一人"),
    }[session["outcome"]]
    seen: dict[str, Any] = {"IdCard": "", "Name": "", "OcrName": None, "OcrIdCard": None, "Sim": None}
    if code is not None:
        seen = {
            "IdCard": PRETEND_NUMBER,
            "Name": PRETEND_NAME,
            "OcrName": PRETEND_NAME,
            "OcrIdCard": PRETEND_NUMBER,
            "Sim": "92.51" if code == 0 else "31.07",
        }
    return {
        "ErrCode": code,
        "ErrMsg": message,
        **seen,
        "LiveStatus": None if code is None else 0,
        "LiveMsg": None if code is None else "成功",
        "Comparestatus": code,
        "Comparemsg": message,
        "Extra": session["extra"],
        "LivenessDetail": [],
    }
