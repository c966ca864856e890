"""How far it is to drive: asked of the map service in one request for a page of stations, or estimated here."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from domain.stations.geo import Location, distance_m
from domain.stations.ports import Drive, Places, PlacesUnavailable

# By how much roads are longer than the crow flies, in towns: measured ratios lie between 1.2 and 1.6.
DETOUR = 1.4
# About eleven metres: whoever asks again from the next parking space gets what is known.
ORIGIN_PLACES = 4

Key = tuple[float, float, float, float]


class DrivingDistances:
    """Keeps what the service has said for a short while. After a failure it is left alone for a moment."""

    def __init__(
        self,
        places: Places | None,
        *,
        keep_s: float,
        keep_max: int,
        pause_s: float,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places, self._keep_s, self._keep_max, self._pause_s = places, keep_s, keep_max, pause_s
        self._monotonic_s = monotonic_s
        self._kept: OrderedDict[Key, tuple[float, Drive]] = OrderedDict()
        self._paused_until_s = float("-inf")

    async def between(self, *, origin: Location, destinations: Sequence[Location]) -> list[Drive]:
        """Return how far each destination is by road; what the service does not say is estimated and says so."""
        found = {each: self._fresh(_key(origin, each)) for each in destinations}
        missing = [each for each, drive in found.items() if drive is None]
        if missing:
            found |= await self._ask(origin, missing)
        return [found[each] or estimate(origin, each) for each in destinations]

    async def _ask(self, origin: Location, missing: Sequence[Location]) -> dict[Location, Drive | None]:
        if self._places is None or self._monotonic_s() < self._paused_until_s:
            return {}
        try:
            drives = await self._places.drives(origin=origin, destinations=missing)
        except PlacesUnavailable:
            self._paused_until_s = self._monotonic_s() + self._pause_s
            return {}
        said = dict(zip(missing, drives, strict=True))
        for destination, drive in said.items():
            if drive is not None:
                self._keep(_key(origin, destination), drive)
        return said

    def _fresh(self, key: Key) -> Drive | None:
        kept = self._kept.get(key)
        return kept[1] if kept and kept[0] > self._monotonic_s() else None

    def _keep(self, key: Key, drive: Drive) -> None:
        self._kept[key] = (self._monotonic_s() + self._keep_s, drive)
        self._kept.move_to_end(key)
        while len(self._kept) > self._keep_max:
            self._kept.popitem(last=False)


def estimate(origin: Location, destination: Location) -> Drive:
    """Return a guess from the great circle."""
    straight_m = distance_m(origin.latitude, origin.longitude, destination.latitude, destination.longitude)
    return Drive(distance_m=round(straight_m * DETOUR), duration_s=None, estimated=True)


def _key(origin: Location, destination: Location) -> Key:
    return (
        round(origin.latitude, ORIGIN_PLACES),
        round(origin.longitude, ORIGIN_PLACES),
        destination.latitude,
        destination.longitude,
    )
