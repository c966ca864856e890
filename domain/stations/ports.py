"""What the stations room asks of a map service. Every place here is in GCJ-02, as Chinese maps have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.stations.geo import Location
from kernel.errors import YoukaError


class PlacesUnavailable(YoukaError):
    """`quota` says that the day's or the second's allowance is spent."""

    code = "PLACES_UNAVAILABLE"
    messages = {"zh-CN": "地图服务暂不可用，请稍后再试", "en": "The map service is not available now, please try again"}


@dataclass(frozen=True, slots=True)
class Place:
    """A place that has a name or an address; `distance_m` is from where the search was made, as the crow flies."""

    title: str
    address: str
    location: Location
    province: str
    city: str
    district: str
    distance_m: int | None = None


@dataclass(frozen=True, slots=True)
class Drive:
    """How far it is by road. `estimated` where nobody but us has said so, and then there is no duration."""

    distance_m: int
    duration_s: int | None
    estimated: bool = False


class Places(Protocol):
    async def search(self, *, text: str, near: Location, radius_m: int, limit: int) -> list[Place]:
        """Return places that fit a text, the nearest first. Raises PlacesUnavailable."""

    async def at(self, location: Location) -> Place:
        """Return the address of a place. Raises PlacesUnavailable."""

    async def drives(self, *, origin: Location, destinations: Sequence[Location]) -> list[Drive | None]:
        """Return how far each destination is by road, None where there is no way. Raises PlacesUnavailable."""
