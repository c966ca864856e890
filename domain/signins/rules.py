"""What is unusual about a sign-in, and what follows from that; no I/O.

Each signal has a weight, and the sum decides. What a second proof can settle is asked for, and what it cannot is let in
or kept out by its weight alone: nobody is kept out for a new phone, and nobody comes from two cities at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from domain.stations.geo import Location, LocationInvalid, distance_m
from kernel.access_states import SignInSignal
from kernel.clock import SHANGHAI

WEIGHTS = {
    SignInSignal.NEW_DEVICE: 2,
    SignInSignal.FAR_PLACE: 4,
    SignInSignal.ODD_HOUR: 1,
    SignInSignal.RECENT_FAILURES: 2,
}
CHALLENGE_FROM, REFUSE_FROM = 2, 6
# Where no code can be sent, so much is refused.
REFUSE_UNCHALLENGED_FROM = 4
# Fewer sign-ins than these tell nothing of somebody's hours.
HOURS_KNOWN_MIN = 10
HOURS_NEAR = 2
HOURS_PER_DAY = 24
FAILURES_NOTED = 3
CENTI = 100
M_PER_KM = 1_000
PLACE = re.compile(r"(-?\d{1,2}(?:\.\d{1,8})?)\s*,\s*(-?\d{1,3}(?:\.\d{1,8})?)(?:\s*,\s*([^,]{1,64}))?")
PLACE_LENGTH_MAX = 128
SOON = timedelta(minutes=1)


class Verdict(StrEnum):
    ALLOW = "ALLOW"
    CHALLENGE = "CHALLENGE"
    REFUSE = "REFUSE"


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody is, in hundredths of a degree (about a kilometre), with the city's name where it is known."""

    latitude_centi: int
    longitude_centi: int
    city: str = ""

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """Return the place in `31.23,121.47,上海`, or None in what is none."""
        found = PLACE.fullmatch(text.strip()) if text and len(text) <= PLACE_LENGTH_MAX else None
        if found is None:
            return None
        try:
            location = Location(float(found[1]), float(found[2]))
        except LocationInvalid:
            return None
        city = (found[3] or "").strip()
        return cls(
            round(location.latitude * CENTI), round(location.longitude * CENTI), city if city.isprintable() else ""
        )

    def km_to(self, other: Place) -> float:
        here = (self.latitude_centi / CENTI, self.longitude_centi / CENTI)
        there = (other.latitude_centi / CENTI, other.longitude_centi / CENTI)
        return distance_m(*here, *there) / M_PER_KM


@dataclass(frozen=True, slots=True)
class Past:
    """A sign-in of the same person that was let in before."""

    at: datetime
    device_digest: str
    place: Place | None


@dataclass(frozen=True, slots=True)
class Asking:
    """A sign-in whose proof was right. `failures` are the recent ones of the same person."""

    at: datetime
    device_digest: str
    place: Place | None
    failures: int = 0
    # A device that its user has just approved by hand is not a new one.
    device_is_vouched_for: bool = False


@dataclass(frozen=True, slots=True)
class Unusual:
    """From how far, and how fast."""

    far_km: int
    speed_max_km_per_h: int


def signals_of(asking: Asking, past: Sequence[Past], unusual: Unusual) -> frozenset[SignInSignal]:
    """Return what is unusual, measured by somebody's own past; nothing is at the first sign-in of all."""
    found = set()
    if past and not asking.device_is_vouched_for and all(each.device_digest != asking.device_digest for each in past):
        found.add(SignInSignal.NEW_DEVICE)
    if _is_far(asking, past, unusual):
        found.add(SignInSignal.FAR_PLACE)
    if _is_odd(asking.at, [each.at for each in past]):
        found.add(SignInSignal.ODD_HOUR)
    if asking.failures >= FAILURES_NOTED:
        found.add(SignInSignal.RECENT_FAILURES)
    return frozenset(found)


def verdict(signals: Collection[SignInSignal], *, can_challenge: bool) -> Verdict:
    weight = sum(WEIGHTS[each] for each in signals)
    if weight >= REFUSE_FROM:
        return Verdict.REFUSE
    if can_challenge:
        return Verdict.CHALLENGE if weight >= CHALLENGE_FROM else Verdict.ALLOW
    return Verdict.REFUSE if weight >= REFUSE_UNCHALLENGED_FROM else Verdict.ALLOW


def _is_far(asking: Asking, past: Sequence[Past], unusual: Unusual) -> bool:
    """Say whether nobody can have come here from where they were last."""
    placed = [each for each in past if each.place is not None]
    if asking.place is None or not placed:
        return False
    last = max(placed, key=lambda each: each.at)
    assert last.place is not None
    km = asking.place.km_to(last.place)
    hours = max(asking.at - last.at, SOON) / timedelta(hours=1)
    return km > unusual.far_km and km / hours > unusual.speed_max_km_per_h


def _is_odd(at: datetime, before: Sequence[datetime]) -> bool:
    """Say whether somebody who was seen often enough was never seen near this hour, in Asia/Shanghai."""
    if len(before) < HOURS_KNOWN_MIN:
        return False
    hour = at.astimezone(SHANGHAI).hour
    apart = [(each.astimezone(SHANGHAI).hour - hour) % HOURS_PER_DAY for each in before]
    return all(min(each, HOURS_PER_DAY - each) > HOURS_NEAR for each in apart)
