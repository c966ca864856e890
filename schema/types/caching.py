"""How long an answer may be kept, and for whom: `@cacheControl`, with the meaning that Apollo has given it.

https://www.apollographql.com/docs/apollo-server/performance/caching. An answer lasts as long as the shortest of its
fields, and it is private where one of them is. What says nothing and leads to objects is not kept, and with it
nothing of the answer; numbers, texts and the like are kept as long as the object that they are part of.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import strawberry
from strawberry.schema_directive import Location


@strawberry.enum(name="CacheControlScope", description="Whose cache may keep an answer.")
class Scope(Enum):
    PUBLIC = strawberry.enum_value("PUBLIC", description="It is the same for everybody.")
    PRIVATE = strawberry.enum_value("PRIVATE", description="It is for the viewer alone.")


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION, Location.OBJECT],
    name="cacheControl",
    description="How many seconds an answer with the field may be kept, and by whom; with `inheritMaxAge` as long as "
    "what it is part of. Fields without it that lead to objects are not kept, and then nothing of the answer is.",
)
class CacheControl:
    max_age: int | None = strawberry.directive_field(name="maxAge", default=strawberry.UNSET)
    scope: Scope | None = strawberry.directive_field(name="scope", default=strawberry.UNSET)
    inherit_max_age: bool | None = strawberry.directive_field(name="inheritMaxAge", default=strawberry.UNSET)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How an answer may be kept. `shows_stations` says that it has what everybody sees: stations, zones, prices."""

    max_age_s: int
    private: bool
    shows_stations: bool


# The service forgets what it keeps as soon as it is changed; ages are for caches that nobody can tell of it.
FOR_EVERYBODY = CacheControl(max_age=60, scope=Scope.PUBLIC)
FOR_THE_VIEWER = CacheControl(max_age=60, scope=Scope.PRIVATE)
# Of an object that is kept wherever what leads to it is.
AS_ITS_PARENT = CacheControl(inherit_max_age=True)
# It changes by itself, or by what is not listened to.
NEVER = CacheControl(max_age=0)


def cache_control_of(definition: Any) -> CacheControl | None:
    """Return what a field or a type of the schema says of itself."""
    described: Any = definition.extensions.get("strawberry-definition")
    directives: Iterable[Any] = (described.directives if described is not None else None) or ()
    return next((each for each in directives if isinstance(each, CacheControl)), None)
