"""What an import hands in: stations that are known to fit before a table sees them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from domain.pricing.records import RecordRefused, check_text
from domain.stations.geo import LATITUDE_MAX, LONGITUDE_MAX
from kernel.states import StationBrand

NAME_LENGTH_MAX = 128
ADDRESS_LENGTH_MAX = 256
REGION_LENGTH_MAX = 32

# How stations name their brand. The first one in a name is the brand; another may be a street or a neighbour.
BRAND_NAMES = {
    "中国石化": StationBrand.SINOPEC,
    "中石化": StationBrand.SINOPEC,
    "中国石油": StationBrand.PETROCHINA,
    "中石油": StationBrand.PETROCHINA,
    "中国海油": StationBrand.CNOOC,
    "中海油": StationBrand.CNOOC,
    "壳牌": StationBrand.SHELL,
}

# Roughly the Chinese mainland and its seas, only to recognise coordinates whose order was swapped.
CHINA_LATITUDES = (3.0, 54.0)
CHINA_LONGITUDES = (73.0, 136.0)


def brand_of(name: str) -> StationBrand:
    places = {name.find(text): brand for text, brand in BRAND_NAMES.items() if text in name}
    return places[min(places)] if places else StationBrand.OTHER


def source_key_of(*, feature_id: str | None, name: str, address: str) -> str:
    """Return 64 characters that name a station of a source: from its id there, else from its name and address."""
    identity = ("id", feature_id) if feature_id is not None else ("name", name, address)
    return hashlib.sha256("\0".join(identity).encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class StationRecord:
    """A station as its source gives it, in degrees. Raises RecordRefused where it does not fit."""

    source_key: str
    name: str
    address: str
    province: str
    city: str
    district: str
    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        check_text("name", self.name, length_max=NAME_LENGTH_MAX)
        check_text("address", self.address, length_max=ADDRESS_LENGTH_MAX, optional=True)
        for field in ("province", "city", "district"):
            check_text(field, getattr(self, field), length_max=REGION_LENGTH_MAX, optional=True)
        check_place(self.latitude, self.longitude)

    @property
    def brand(self) -> StationBrand:
        return brand_of(self.name)


def check_place(latitude: float, longitude: float) -> None:
    """Raises RecordRefused. RFC 7946, section 3.1.1: longitude comes first."""
    if _in_china(longitude, latitude) and not _in_china(latitude, longitude):
        raise RecordRefused(reason="the coordinates are swapped; GeoJSON gives longitude first, then latitude")
    if not abs(latitude) <= LATITUDE_MAX:
        raise RecordRefused(reason=f"latitude {latitude:g} is not from -90 to 90")
    if not abs(longitude) <= LONGITUDE_MAX:
        raise RecordRefused(reason=f"longitude {longitude:g} is not from -180 to 180")


def _in_china(latitude: float, longitude: float) -> bool:
    south, north = CHINA_LATITUDES
    west, east = CHINA_LONGITUDES
    return south <= latitude <= north and west <= longitude <= east
