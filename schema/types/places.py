"""Places and ways as the map service knows them. Its coordinates are GCJ-02, not WGS 84."""

from __future__ import annotations

from typing import Self

import strawberry

from domain.stations.ports import Drive
from domain.stations.ports import Place as PlaceFacts


@strawberry.input(
    description="A place in GCJ-02, the coordinates of Chinese maps: what `wx.getLocation` gives with the type `gcj02`."
)
class MapLocationInput:
    latitude: float = strawberry.field(description="Degrees north of the equator, from -90 to 90.")
    longitude: float = strawberry.field(description="Degrees east of Greenwich, from -180 to 180.")


@strawberry.type(description="A place in GCJ-02, the coordinates of Chinese maps.")
class MapLocation:
    latitude: float = strawberry.field(description="Degrees north of the equator, from -90 to 90.")
    longitude: float = strawberry.field(description="Degrees east of Greenwich, from -180 to 180.")


@strawberry.type(description="A place of the map service.")
class Place:
    title: str = strawberry.field(description="Its name, or how people would call it.")
    address: str = strawberry.field(description="Its address; empty where the service has none.")
    location: MapLocation = strawberry.field(description="Where it is, in GCJ-02.")
    province: str = strawberry.field(description="Province or municipality; empty where the service has none.")
    city: str = strawberry.field(description="City or prefecture; empty where the service has none.")
    district: str = strawberry.field(description="District or county; empty where the service has none.")
    distance: int | None = strawberry.field(description="Metres from `near`, as the crow flies; null without one.")

    @classmethod
    def of(cls, facts: PlaceFacts) -> Self:
        return cls(
            title=facts.title,
            address=facts.address,
            location=MapLocation(latitude=facts.location.latitude, longitude=facts.location.longitude),
            province=facts.province,
            city=facts.city,
            district=facts.district,
            distance=facts.distance_m,
        )


@strawberry.type(description="How far it is by road.")
class DrivingDistance:
    meters: int = strawberry.field(description="The length of the way, in metres.")
    seconds: int | None = strawberry.field(description="How long it takes to drive now; null for an estimate.")
    estimated: bool = strawberry.field(
        description="Whether the map service did not say, so that this is worked out from the way as the crow flies."
    )

    @classmethod
    def of(cls, drive: Drive) -> Self:
        return cls(meters=drive.distance_m, seconds=drive.duration_s, estimated=drive.estimated)
