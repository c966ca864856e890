"""Looking for places on the map."""

from __future__ import annotations

from domain.stations.geo import Location
from domain.stations.ports import Place, Places
from kernel.errors import YoukaError

TEXT_LENGTH_MAX = 64
PLACES_MAX = 20


class SearchTextInvalid(YoukaError):
    code = "SEARCH_TEXT_INVALID"
    messages = {
        "zh-CN": "搜索内容须为1至{maximum}个可见字符",
        "en": "The text to look for must have 1 to {maximum} visible characters",
    }


class SearchText(str):
    """A text that a map can be searched for."""

    @classmethod
    def read(cls, given: str) -> SearchText:
        """Raises SearchTextInvalid."""
        text = given.strip()
        if not 0 < len(text) <= TEXT_LENGTH_MAX or not text.isprintable():
            raise SearchTextInvalid(maximum=TEXT_LENGTH_MAX)
        return cls(text)


async def search(*, places: Places, text: SearchText, near: Location, radius_m: int, limit: int) -> list[Place]:
    """Return places that fit a text, the nearest first, 20 at most. Raises PlacesUnavailable."""
    return await places.search(text=text, near=near, radius_m=radius_m, limit=min(limit, PLACES_MAX))


async def at(*, places: Places, location: Location) -> Place:
    """Return the address of a place. Raises PlacesUnavailable."""
    return await places.at(location)
