"""Places of the map service."""

from __future__ import annotations

from typing import Annotated

import strawberry

from domain.stations.geo import Location
from domain.stations.places import SearchText, at, search
from domain.stations.ports import Places
from kernel.errors import ServiceNotConfigured
from schema.types.context import Info
from schema.types.places import MapLocationInput, Place
from schema.types.refusals import refusals
from schema.types.relay import page_size

RADIUS_DEFAULT_M = 10_000


async def search_places(
    info: Info,
    text: Annotated[str, strawberry.argument(description="What to look for, from 1 to 64 characters.")],
    near: Annotated[MapLocationInput, strawberry.argument(description="Around where, in GCJ-02.")],
    first: Annotated[int, strawberry.argument(description="How many places, from 1 to 20.")] = 10,
) -> list[Place] | None:
    with refusals(info):
        found = await search(
            places=_places(info),
            text=SearchText.read(text),
            near=Location(near.latitude, near.longitude),
            radius_m=RADIUS_DEFAULT_M,
            limit=page_size(first, maximum=info.context.services.settings.page_size_max),
        )
    return [Place.of(each) for each in found]


async def place_at(
    info: Info,
    location: Annotated[MapLocationInput, strawberry.argument(description="Where, in GCJ-02.")],
) -> Place | None:
    with refusals(info):
        return Place.of(await at(places=_places(info), location=Location(location.latitude, location.longitude)))


def _places(info: Info) -> Places:
    places = info.context.services.third_parties.platforms.places
    if places is None:
        raise ServiceNotConfigured
    return places
