"""How a subscription is delivered: `@delivery(policy, audience)` on the fields of Subscription."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import strawberry
from strawberry.schema_directive import Location

from schema.types.enums import described


class DeliveryPolicy(StrEnum):
    LOSSLESS = "LOSSLESS"
    LATEST = "LATEST"


class DeliveryAudience(StrEnum):
    VIEWER = "VIEWER"
    EVERYONE = "EVERYONE"


described(
    DeliveryPolicy,
    "DeliveryPolicy",
    "What becomes of events for which a client is too slow.",
    {
        "LOSSLESS": "None is left out: the stream is closed, and is resumed with the last cursor.",
        "LATEST": "Of what would replace each other only the newest is delivered.",
    },
)
described(
    DeliveryAudience,
    "DeliveryAudience",
    "Whose eyes the events are made for.",
    {
        "VIEWER": "Each viewer has events of their own.",
        "EVERYONE": "All subscribers get the same, whoever they are.",
    },
)


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="delivery",
    description="How the events of a subscription are delivered.",
)
class DeliveryDirective:
    policy: DeliveryPolicy = strawberry.directive_field(name="policy")
    audience: DeliveryAudience = strawberry.directive_field(name="audience")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What code needs to know of the directive. A subscription without one loses nothing and is the viewer's own."""

    policy: DeliveryPolicy = DeliveryPolicy.LOSSLESS
    audience: DeliveryAudience = DeliveryAudience.VIEWER


LOSSLESS_FOR_VIEWER = DeliveryDirective(policy=DeliveryPolicy.LOSSLESS, audience=DeliveryAudience.VIEWER)
LATEST_FOR_EVERYONE = DeliveryDirective(policy=DeliveryPolicy.LATEST, audience=DeliveryAudience.EVERYONE)


def delivery_of(schema: strawberry.Schema, field_name: str) -> Delivery:
    """Return how a field of Subscription is delivered; `field_name` is the SDL's. Raises KeyError for no such field."""
    subscription = schema._schema.subscription_type
    if subscription is None:
        raise KeyError(field_name)
    definition: Any = subscription.fields[field_name].extensions["strawberry-definition"]
    for directive in definition.directives:
        if isinstance(directive, DeliveryDirective):
            return Delivery(directive.policy, directive.audience)
    return Delivery()
