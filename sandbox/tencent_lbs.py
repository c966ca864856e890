"""Tencent's map service: a few invented places around wherever somebody asks, and roads that are 1.3 times as long."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.answers import keep_silent
from sandbox.faults import Faults
from sandbox.keys import Keys
from sandbox.store import Document

NEARBY = re.compile(r"nearby\((-?[\d.]+),(-?[\d.]+),(\d+)\)")
EARTH_RADIUS_M = 6_371_000.0
ROAD_FACTOR = 1.3
SPEED_M_PER_S = 10.0
PLACES = 5
STEP_DEGREES = 0.002
DESTINATIONS_MAX = 200
AD_INFO = {"adcode": 310104, "province": "上海市", "city": "上海市", "district": "徐汇区"}


class ApiError(Exception):
    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(message)


class TencentLbsSandbox:
    def __init__(self, *, keys: Keys, faults: Faults) -> None:
        self._keys, self._faults = keys, faults
        self._asked = 0

    def routes(self) -> list[Route]:
        return [
            Route("/ws/place/v1/search", self._answering(self._search), methods=["GET"]),
            Route("/ws/geocoder/v1", self._answering(self._geocoder), methods=["GET"]),
            Route("/ws/distance/v1/matrix", self._answering(self._matrix), methods=["GET"]),
        ]

    def state(self) -> Document:
        return {"map_requests": self._asked}

    def _answering(self, answer: Callable[[dict[str, str]], Document]) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            self._asked += 1
            modes = frozenset({"timeout", "error_500", "quota", "quota_per_second", "garbage"})
            fault = self._faults.take("lbs", among=modes)
            if fault == "timeout":
                await keep_silent(request)
            if fault in {"timeout", "error_500"}:
                return Response("Internal Server Error", 500)
            if fault == "garbage":
                return JSONResponse({"status": 0, "message": "Success", "result": {"rows": "?"}, "data": 5})
            try:
                if fault == "quota":
                    raise ApiError(121, "此key每日调用量已达到上限")
                if fault == "quota_per_second":
                    raise ApiError(120, "此key每秒请求量已达到上限")
                self._assert_signed(request)
                return JSONResponse({"status": 0, "message": "Success", **answer(dict(request.query_params))})
            except ApiError as error:
                return JSONResponse({"status": error.status, "message": error.message})

        return endpoint

    def _assert_signed(self, request: Request) -> None:
        given = dict(request.query_params)
        signature = given.pop("sig", "")
        if given.get("key") != self._keys.tencent_lbs_key:
            raise ApiError(311, "key格式错误")
        query = "&".join(f"{name}={given[name]}" for name in sorted(given))
        text = f"{request.url.path}?{query}{self._keys.tencent_lbs_secret}"
        expected = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        if not hmac.compare_digest(expected, signature):
            raise ApiError(111, "签名验证失败")

    def _search(self, given: dict[str, str]) -> Document:
        boundary = NEARBY.fullmatch(given.get("boundary", ""))
        if boundary is None or not given.get("keyword"):
            raise ApiError(310, "请求参数信息有误")
        latitude, longitude = float(boundary[1]), float(boundary[2])
        data = []
        for number in range(1, min(PLACES, int(given.get("page_size", "10"))) + 1):
            place = (latitude + number * STEP_DEGREES, longitude)
            data.append(
                {
                    "id": str(number),
                    "title": f"{given['keyword']}{number}",
                    "address": f"沙箱路{number}号",
                    "location": {"lat": place[0], "lng": place[1]},
                    "_distance": round(_distance_m((latitude, longitude), place)),
                    "ad_info": AD_INFO,
                }
            )
        return {"count": len(data), "data": data}

    def _geocoder(self, given: dict[str, str]) -> Document:
        _point(given.get("location", ""))
        return {
            "result": {
                "address": "上海市徐汇区沙箱路1号",
                "formatted_addresses": {"recommend": "沙箱广场"},
                "ad_info": AD_INFO,
            }
        }

    def _matrix(self, given: dict[str, str]) -> Document:
        origin = _point(given.get("from", ""))
        destinations = [_point(each) for each in given.get("to", "").split(";")]
        if given.get("mode") != "driving" or len(destinations) > DESTINATIONS_MAX:
            raise ApiError(310, "请求参数信息有误")
        elements = []
        for destination in destinations:
            distance_m = round(_distance_m(origin, destination) * ROAD_FACTOR)
            elements.append({"distance": distance_m, "duration": round(distance_m / SPEED_M_PER_S)})
        return {"result": {"rows": [{"elements": elements}]}}


def _point(text: str) -> tuple[float, float]:
    try:
        latitude, longitude = map(float, text.split(","))
    except ValueError:
        raise ApiError(310, "请求参数信息有误") from None
    return latitude, longitude


def _distance_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    height, width = math.radians(other[0] - one[0]), math.radians(other[1] - one[1])
    return EARTH_RADIUS_M * math.hypot(height, width * math.cos(math.radians(one[0])))
