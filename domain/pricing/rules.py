"""Which zone a station lies in, and how a price is read; no I/O."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from domain.pricing.records import PRICE_MAX_MILLIYUAN, PRICE_OUT_OF_RANGE, RecordRefused
from kernel.states import Product

PRODUCT_ORDER: dict[Product, int] = {product: position for position, product in enumerate(Product)}
PRICE_PLACES_MAX = 3

# The ends of administrative names, longest first (GB/T 2260).
NAME_ENDS = (
    "特别行政区", "维吾尔自治区", "壮族自治区", "回族自治区", "自治区", "自治州", "自治县", "自治旗",
    "地区", "新区", "矿区", "林区", "省", "市", "盟", "州", "县", "区", "旗",
)  # fmt: skip
# An autonomous prefecture, county or banner carries the names of peoples, which its short name leaves out.
AUTONOMOUS = {"自治州": "州", "自治县": "县", "自治旗": "旗"}
PEOPLES = re.compile(
    "(?:(?:蒙古|柯尔克孜|哈萨克|塔吉克|锡伯|达斡尔|各|回|藏|苗|彝|壮|布依|朝鲜|满|侗|瑶|白|土家|哈尼|傣|黎|傈僳|佤|畲|拉祜|水|东乡|"
    "纳西|景颇|土|仫佬|羌|布朗|撒拉|毛南|仡佬|阿昌|普米|怒|鄂温克|德昂|保安|裕固|独龙|鄂伦春|门巴|珞巴|基诺|维吾尔)族"
    "|蒙古|柯尔克孜|哈萨克|塔吉克|锡伯)+$"
)
# Sources write these where a place belongs to its province directly.
NO_CITY = re.compile("市辖区|县|.*直辖.*|.*直管.*")
SHORT_NAME_LENGTH_MIN = 2


@dataclass(frozen=True, slots=True)
class Zone:
    id: UUID
    province_code: str
    province_name: str


@dataclass(frozen=True, slots=True)
class Region:
    """`name` is the full short name: 云南, 云南临沧, 云南临沧临翔."""

    name: str
    province_code: str
    zone_id: UUID


def names_of(place: str) -> tuple[str, ...]:
    """Return the names that a place may be listed by, the most particular first.

    临沧市 is also 临沧, 红河哈尼族彝族自治州 is also 红河州 and 红河; 云县 stays 云县, since nothing is called 云.
    """
    place = "".join(place.split())
    names = [place] if place else []
    for end in NAME_ENDS:
        if place.endswith(end):
            stem = place.removesuffix(end)
            if end in AUTONOMOUS:
                names += [stem + AUTONOMOUS[end], stem]
                stem = PEOPLES.sub("", stem)
                names.append(stem + AUTONOMOUS[end])
            names.append(stem)
            break
    long_enough = (name for name in names if len(name) >= SHORT_NAME_LENGTH_MIN)
    return tuple(dict.fromkeys(long_enough))


class ZoneMap:
    """Finds the zone of a place: the longest listed region wins, else the only zone of the province, else none."""

    def __init__(self, *, zones: Iterable[Zone], regions: Iterable[Region]) -> None:
        self._zones: dict[str, list[UUID]] = defaultdict(list)
        self._provinces: dict[str, str] = {}
        for zone in zones:
            self._zones[zone.province_code].append(zone.id)
            for name in names_of(zone.province_name):
                self._provinces[name] = zone.province_code
        self._regions = {(region.province_code, region.name): region.zone_id for region in regions}

    def zone_of(self, *, province: str, city: str, district: str) -> UUID | None:
        provinces = names_of(province)
        code = next((self._provinces[name] for name in provinces if name in self._provinces), None)
        if code is None:
            return None
        for name in _regions_of(provinces, city, district):
            zone_id = self._regions.get((code, name))
            if zone_id is not None:
                return zone_id
        zones = self._zones[code]
        return zones[0] if len(zones) == 1 else None


def _regions_of(provinces: tuple[str, ...], city: str, district: str) -> Iterator[str]:
    cities = () if NO_CITY.fullmatch(city.strip()) else names_of(city)
    districts = names_of(district)
    for province in provinces:
        yield from (province + one + other for one in cities for other in districts)
    for province in provinces:
        # A county directly under its province takes the city's place; elsewhere it might be a namesake of a city.
        yield from (province + one for one in (cities or districts))
    yield from provinces


def milliyuan_of(price: object) -> int:
    """Read an exact price in yuan per litre. Raises RecordRefused."""
    if isinstance(price, bool) or not isinstance(price, int | Decimal):
        raise RecordRefused(reason="the price is not a number")
    exact = Decimal(price)
    if not exact.is_finite():
        raise RecordRefused(reason="the price is not a finite number")
    # The range comes first: scaling an absurd exponent would write out all its digits.
    if not 0 < exact <= PRICE_MAX_MILLIYUAN // 1000:
        raise RecordRefused(reason=PRICE_OUT_OF_RANGE)
    # Digit by digit, because arithmetic would round a long number to the context's precision first.
    _, digits, exponent = exact.as_tuple()
    assert isinstance(exponent, int)
    surplus = -PRICE_PLACES_MAX - exponent
    if surplus > 0:
        if any(digits[-surplus:]):
            raise RecordRefused(reason="the price is finer than a thousandth of a yuan")
        digits, surplus = digits[:-surplus], 0
    scale: int = 10**-surplus
    return int("".join(map(str, digits))) * scale
