"""How a subscription is delivered: `@delivery(policy, audience)` on the fields of Subscription."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import strawberry
from graphql import GraphQLSchema
from strawberry.schema_directive import Location

from schema.types.describing import described


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
class DeliveryRule:
    """What code needs to know of the directive."""

    policy: DeliveryPolicy
    audience: DeliveryAudience


LOSSLESS_FOR_VIEWER = DeliveryDirective(policy=DeliveryPolicy.LOSSLESS, audience=DeliveryAudience.VIEWER)
LATEST_FOR_EVERYONE = DeliveryDirective(policy=DeliveryPolicy.LATEST, audience=DeliveryAudience.EVERYONE)


def rule_of(schema: GraphQLSchema, field_name: str) -> DeliveryRule | None:
    """Return how a field of Subscription is delivered, None where no directive says; `field_name` is the SDL's.

    Raises KeyError for no such field.
    """
    if schema.subscription_type is None:
        raise KeyError(field_name)
    definition: Any = schema.subscription_type.fields[field_name].extensions["strawberry-definition"]
    for directive in definition.directives:
        if isinstance(directive, DeliveryDirective):
            return DeliveryRule(directive.policy, directive.audience)
    return None
