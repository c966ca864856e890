"""Tencent's map service (腾讯位置服务 WebService API): places, addresses and distances by road, signed with an SN.

Sources: its documentation, "地点搜索" (/ws/place/v1/search), "逆地址解析" (/ws/geocoder/v1), "距离矩阵"
(/ws/distance/v1/matrix), "签名校验 SN" and "状态码". Coordinates are GCJ-02.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import httpx

from domain.stations.geo import Location, LocationInvalid
from domain.stations.ports import Drive, Place, PlacesUnavailable
from gateways.documents import Document, Malformed, child, parse, text
from gateways.exchange import Unsettled, exchange
from kernel.logs import get_logger

SEARCH_PATH = "/ws/place/v1/search"
GEOCODER_PATH = "/ws/geocoder/v1"
MATRIX_PATH = "/ws/distance/v1/matrix"
# The service gives at most 20 places a page, and takes at most 200 destinations of one origin.
PLACES_PER_PAGE_MAX = 20
DESTINATIONS_MAX = 200
DEGREE_PLACES = 6
DISTANCE_MAX_M = 10_000_000
DURATION_MAX_S = 10_000_000
# 120: too many in this second. 121: the day's allowance is spent.
QUOTA_STATUSES = frozenset({120, 121})

log = get_logger(__name__)
T = TypeVar("T")


def signature(path: str, parameters: Mapping[str, str], secret: str) -> str:
    """Return the `sig` of a GET: MD5 of path, sorted raw parameters and secret, as the service prescribes it."""
    query = "&".join(f"{name}={value}" for name, value in sorted(parameters.items()))
    # The service leaves no other choice; what is sent is not secret, and TLS protects it.
    return hashlib.md5(f"{path}?{query}{secret}".encode(), usedforsecurity=False).hexdigest()


class TencentLbs:
    """Implements `domain.stations.ports.Places`. A place that somebody asks about is never logged."""

    def __init__(self, *, client: httpx.AsyncClient, key: str, secret: str, timeout_s: float) -> None:
        self._client, self._key, self._secret, self._timeout_s = client, key, secret, timeout_s

    async def search(self, *, text: str, near: Location, radius_m: int, limit: int) -> list[Place]:
        """Return places that fit a text, the nearest first. Raises PlacesUnavailable."""
        parameters = {
            "keyword": text,
            "boundary": f"nearby({_degrees(near)},{radius_m})",
            "orderby": "_distance",
            "page_size": str(min(limit, PLACES_PER_PAGE_MAX)),
            "page_index": "1",
        }
        document = await self._ask(SEARCH_PATH, parameters)
        return self._checked(lambda: [_found(each) for each in _objects(document, "data")])

    async def at(self, location: Location) -> Place:
        """Return the address of a place. Raises PlacesUnavailable."""
        document = await self._ask(GEOCODER_PATH, {"location": _degrees(location), "get_poi": "0"})
        return self._checked(lambda: _address(child(document, "result"), location))

    async def drives(self, *, origin: Location, destinations: Sequence[Location]) -> list[Drive | None]:
        """Return how far each destination is by road, None where there is no way. Raises PlacesUnavailable."""
        found: list[Drive | None] = []
        for start in range(0, len(destinations), DESTINATIONS_MAX):
            part = destinations[start : start + DESTINATIONS_MAX]
            parameters = {"mode": "driving", "from": _degrees(origin), "to": ";".join(map(_degrees, part))}
            found += await self._matrix(parameters, len(part))
        return found

    async def _matrix(self, parameters: dict[str, str], count: int) -> list[Drive | None]:
        document = await self._ask(MATRIX_PATH, parameters)
        return self._checked(lambda: _drives(document, count))

    async def _ask(self, path: str, parameters: dict[str, str]) -> Document:
        try:
            answer = await exchange(self._client, lambda: self._request(path, parameters), budget_s=self._timeout_s)
            if answer.refused:
                raise Unsettled(f"status {answer.status}")
            document = parse(answer.body)
        except (Unsettled, Malformed) as error:
            raise self._unavailable(str(error)) from None
        status = document.get("status")
        if isinstance(status, bool) or status != 0:
            # A wrong key or signature only an operator can change; a quota passes by itself.
            tell = log.warning if status in QUOTA_STATUSES else log.error
            tell("tencent_lbs.refused", said=str(status)[:8])
            raise PlacesUnavailable
        return document

    def _request(self, path: str, parameters: dict[str, str]) -> httpx.Request:
        signed = {**parameters, "key": self._key}
        return self._client.build_request("GET", path, params={**signed, "sig": signature(path, signed, self._secret)})

    def _checked(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except (Malformed, LocationInvalid) as error:
            raise self._unavailable(str(error)) from None

    def _unavailable(self, reason: str) -> PlacesUnavailable:
        log.warning("tencent_lbs.unavailable", reason=reason)
        return PlacesUnavailable()


def _degrees(location: Location) -> str:
    return f"{location.latitude:.{DEGREE_PLACES}f},{location.longitude:.{DEGREE_PLACES}f}"


def _found(document: Document) -> Place:
    info = child(document, "ad_info")
    distance = document.get("_distance")
    return Place(
        title=text(document, "title"),
        address=_maybe(document, "address"),
        location=_location(child(document, "location")),
        province=_maybe(info, "province"),
        city=_maybe(info, "city"),
        district=_maybe(info, "district"),
        distance_m=round(_number(document, "_distance", DISTANCE_MAX_M)) if distance is not None else None,
    )


def _address(result: Document, location: Location) -> Place:
    info = child(result, "ad_info")
    formatted = result.get("formatted_addresses")
    recommended = formatted.get("recommend") if isinstance(formatted, dict) else None
    address = text(result, "address")
    return Place(
        title=recommended if isinstance(recommended, str) and recommended else address,
        address=address,
        location=location,
        province=_maybe(info, "province"),
        city=_maybe(info, "city"),
        district=_maybe(info, "district"),
    )


def _drives(document: Document, count: int) -> list[Drive | None]:
    rows = _objects(child(document, "result"), "rows")
    elements = _objects(rows[0], "elements") if rows else []
    if len(elements) != count:
        raise Malformed("elements are not as many as destinations")
    return [_drive(each) for each in elements]


def _drive(element: Document) -> Drive | None:
    # A status of its own says why there is no distance, such as 4 where no road leads there.
    if element.get("status", 0) != 0:
        return None
    distance_m = _number(element, "distance", DISTANCE_MAX_M)
    return Drive(round(distance_m), round(_number(element, "duration", DURATION_MAX_S)))


def _location(document: Document) -> Location:
    return Location(_number(document, "lat", 90), _number(document, "lng", 180))


def _number(document: Document, name: str, maximum: float) -> float:
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= maximum:
        raise Malformed(f"{name} is not a number in its range")
    return float(value)


def _maybe(document: Document, name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _objects(document: Document, name: str) -> list[Document]:
    value = document.get(name)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Malformed(f"{name} is not a list of objects")
    return value
