"""What a field costs: `@cost` and `@listSize` (https://ibm.github.io/graphql-specs/cost-spec.html).

A field that leads to objects weighs 1 and an object weighs 1, unless they say otherwise; what leads to numbers, texts
and the like weighs nothing. `schema.extensions.costs` adds them up.
"""

from __future__ import annotations

import strawberry
from strawberry.schema_directive import Location


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION, Location.OBJECT],
    name="cost",
    description="What one call of the field, or one object of the type, costs, as a whole number.",
)
class Cost:
    weight: str = strawberry.directive_field(name="weight")


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="listSize",
    description="How long the list can be, or those of the fields `sizedFields` below it: as the arguments say, or as "
    "assumed where they do not.",
)
class ListSize:
    assumed_size: int | None = strawberry.directive_field(name="assumedSize", default=strawberry.UNSET)
    slicing_arguments: list[str] | None = strawberry.directive_field(name="slicingArguments", default=strawberry.UNSET)
    sized_fields: list[str] | None = strawberry.directive_field(name="sizedFields", default=strawberry.UNSET)
    require_one_slicing_argument: bool | None = strawberry.directive_field(
        name="requireOneSlicingArgument", default=True
    )


def cost(weight: int) -> Cost:
    return Cost(weight=str(weight))


def at_most(size: int) -> ListSize:
    """Say of a list that it is never longer."""
    return ListSize(assumed_size=size, require_one_slicing_argument=False)


# A page is as long as its `first`, which has a default of its own.
PAGE = ListSize(slicing_arguments=["first"], sized_fields=["edges"], require_one_slicing_argument=False)
SLICED = ListSize(slicing_arguments=["first"], require_one_slicing_argument=False)

# What is part of another object costs nothing beside the field that leads to it.
FREE = cost(0)
# One statement of ours, or a few of them.
READ = cost(2)
READS = cost(5)
# Each of so many objects is a statement of its own.
NODES = (cost(40), at_most(20))
# A search over an index and the rows that it finds.
SEARCH = cost(10)
# A transaction: rows under lock, an event, an entry in the ledger.
WRITE = cost(10)
# Somebody else is asked, who is slow and may want to be paid.
THIRD_PARTY = cost(50)
SMS = cost(100)
