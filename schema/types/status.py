"""How the service is: switches that every client obeys, and third parties that do not answer."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Self

import strawberry

from domain.switches.ports import Degraded
from domain.switches.queries import ServiceState
from models.switches import SwitchChange
from schema.types import costs
from schema.types.describing import described
from schema.types.enums import Switch
from schema.types.scalars import DateTime


class ServiceMode(StrEnum):
    NORMAL = "NORMAL"
    MAINTENANCE = "MAINTENANCE"


described(
    ServiceMode,
    "ServiceMode",
    "What the service can do now.",
    {
        "NORMAL": "Everything.",
        "MAINTENANCE": "Queries and subscriptions answer; mutations are refused with the code `MAINTENANCE`.",
    },
)


@strawberry.type(description="A third party that has failed too often lately and is not called for a while.")
class DegradedParty:
    party: str = strawberry.field(description="Which one, such as `tencent_lbs`.")
    since: DateTime = strawberry.field(description="Since when.")

    @classmethod
    def of(cls, degraded: Degraded) -> Self:
        return cls(party=degraded.party, since=DateTime(degraded.since))


@strawberry.type(description="How the service is. A client asks at its start and obeys.")
class ServiceStatus:
    mode: ServiceMode = strawberry.field(description="What the service can do now.")
    simplified: bool = strawberry.field(description="Show simple pages: only what recharging takes.")
    marketing_hidden: bool = strawberry.field(description="Show no marketing; `offers` answers with none.")
    message: str | None = strawberry.field(description="What users shall be told of the maintenance.")
    until: DateTime | None = strawberry.field(description="When the maintenance should be over.")
    degraded: list[DegradedParty] = strawberry.field(
        directives=[costs.at_most(30)],
        description="Third parties that do not answer, as this server knows them; what depends on them says so itself.",
    )

    @classmethod
    def of(cls, state: ServiceState, degraded: Sequence[Degraded]) -> Self:
        maintenance = state.maintenance
        return cls(
            mode=ServiceMode.MAINTENANCE if maintenance else ServiceMode.NORMAL,
            simplified=state.simplified,
            marketing_hidden=state.marketing_hidden,
            message=maintenance.notice if maintenance else None,
            until=DateTime(maintenance.until) if maintenance and maintenance.until else None,
            degraded=[DegradedParty.of(each) for each in degraded],
        )


@strawberry.input(description="A switch to turn.")
class TurnSwitchInput:
    switch: Switch = strawberry.field(description="Which one.")
    on: bool = strawberry.field(description="Where to.")
    reason: str = strawberry.field(description="Why, for those who work here; it is kept.")
    notice: str | None = strawberry.field(default=None, description="What users shall be told while it is on.")
    until: DateTime | None = strawberry.field(
        default=None, description="When it should be over, for users. Nothing happens by itself then."
    )


@strawberry.type(description="The switch is turned; servers obey within a second.")
class TurnSwitchSuccess:
    switch: Switch = strawberry.field(description="Which one.")
    on: bool = strawberry.field(description="Where it stands.")
    changed_at: DateTime = strawberry.field(description="When it was turned.")

    @classmethod
    def of(cls, row: SwitchChange) -> Self:
        return cls(switch=row.switch, on=row.on, changed_at=DateTime(row.changed_at))
