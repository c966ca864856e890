"""Who may have a field: `@public`, `@authenticated`, `@requiresScopes` and `@requiresRole`.

Every field of Query, Mutation and Subscription carries exactly one of them; other fields do where they hold more than
the field that led there. `schema.extensions.access` enforces them.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import strawberry
from graphql import GraphQLField
from strawberry.schema_directive import Location

from domain.identity.scopes import DESCRIPTIONS, Scope
from kernel.states import StaffRole
from schema.types.describing import described

SCOPES = "\n".join(f"- `{scope.value}`: {description}" for scope, description in DESCRIPTIONS.items())

described(
    StaffRole,
    "StaffRole",
    "What somebody who works for the service may do.",
    {
        "SUPPORT": "See orders and what waits, to help customers.",
        "RISK": "Decide on large orders.",
        "FINANCE": "Propose and approve how cases end, and what leaves escrow.",
        "FINANCE_DIRECTOR": "Answer for the books, and agree to large transfers.",
        "AUDITOR": "See everything and change nothing.",
        "ADMIN": "Look after accounts and clients.",
        "OPERATIONS": "Turn the switches of the service.",
    },
)


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="public",
    description="Anybody may have the field. Where it has more for some (`node`, `nodes`, `voiceTurn`), it checks that "
    "itself.",
)
class Public:
    pass


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="authenticated",
    description="The field takes a good token, whatever it was given for. Others get `UNAUTHENTICATED`.",
)
class Authenticated:
    pass


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="requiresScopes",
    description="The field takes a token with every scope of one of the lists. Others get `FORBIDDEN`, and the scopes "
    f"of the first list as `scope`.\n\n{SCOPES}",
)
class RequiresScopes:
    scopes: list[list[str]] = strawberry.directive_field(name="scopes")


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="requiresRole",
    description="The field takes a member of staff who has one of the roles today. Others get `FORBIDDEN`.",
)
class RequiresRole:
    roles: list[StaffRole] = strawberry.directive_field(name="roles")


@strawberry.schema_directive(
    locations=[
        Location.FIELD_DEFINITION,
        Location.ARGUMENT_DEFINITION,
        Location.INPUT_FIELD_DEFINITION,
        Location.ENUM_VALUE,
    ],
    name="internal",
    description="Made for staff: others get null, and do not see it in the schema that is published for them.",
)
class Internal:
    pass


Requirement: TypeAlias = Public | Authenticated | RequiresScopes | RequiresRole
KINDS = (Public, Authenticated, RequiresScopes, RequiresRole)


def one_of(*scopes: Scope) -> RequiresScopes:
    """Return the requirement of any one of the scopes; the first is what a client should ask for."""
    return RequiresScopes(scopes=[[scope.value] for scope in scopes])


INTERNAL = Internal()
PUBLIC = Public()
AUTHENTICATED = Authenticated()
PROFILE = one_of(Scope.PROFILE)
CARDS = one_of(Scope.CARDS)
RECHARGE = one_of(Scope.RECHARGE)
# Each of these may change something that takes a second proof.
STEPS_UP = one_of(Scope.PROFILE, Scope.CARDS, Scope.RECHARGE)
WEBHOOKS = one_of(Scope.WEBHOOKS)
# A car may end the mandate that lets it spend; that it may not make one, the domain says in words of its own.
ORDERS = one_of(Scope.RECHARGE, Scope.RECHARGE_VOICE)
# An order is seen by whoever orders in one way or the other, and by staff.
SEES_ORDERS = one_of(Scope.RECHARGE, Scope.RECHARGE_VOICE, Scope.STAFF)
# What a webhook would be sent may be followed by other ways as well.
FOLLOWS_RECHARGES = one_of(Scope.RECHARGE, Scope.RECHARGE_VOICE, Scope.WEBHOOKS)
# Staff have devices, too.
DEVICES = one_of(Scope.PROFILE, Scope.STAFF)
ANY_STAFF = RequiresRole(roles=list(StaffRole))
RISK = RequiresRole(roles=[StaffRole.RISK])
DIRECTOR = RequiresRole(roles=[StaffRole.FINANCE_DIRECTOR])
FINANCE = RequiresRole(roles=[StaffRole.FINANCE])
BOOKS = RequiresRole(roles=[StaffRole.FINANCE, StaffRole.FINANCE_DIRECTOR])
SIGN_INS = RequiresRole(roles=[StaffRole.AUDITOR, StaffRole.RISK])
OPERATIONS = RequiresRole(roles=[StaffRole.OPERATIONS])
# Parked work is technical and moves money, so both may settle it.
WORK = RequiresRole(roles=[StaffRole.OPERATIONS, StaffRole.FINANCE])
# Whoever helps customers or decides about their money has to find it, and auditors see everything.
SEES_CUSTOMERS = RequiresRole(
    roles=[
        *(StaffRole.SUPPORT, StaffRole.RISK, StaffRole.FINANCE, StaffRole.FINANCE_DIRECTOR, StaffRole.OPERATIONS),
        StaffRole.AUDITOR,
    ]
)
SEES_BOOKS = RequiresRole(roles=[StaffRole.FINANCE, StaffRole.FINANCE_DIRECTOR, StaffRole.AUDITOR])
SEES_ACTIONS = RequiresRole(roles=[StaffRole.AUDITOR, StaffRole.ADMIN])


def requirements_of(field: GraphQLField) -> list[Requirement]:
    """Return what a field of the schema says of who may have it."""
    definition: Any = field.extensions.get("strawberry-definition")
    directives = definition.directives if definition is not None else ()
    return [each for each in directives if isinstance(each, KINDS)]
