"""What a mandate refuses, apart from the other errors since those fill a file."""

from __future__ import annotations

import strawberry

from schema.types.money import Money
from schema.types.user_error import UserError


@strawberry.type(description="The mandate does not allow it, or cannot be made so.")
class MandateError(UserError):
    maximum: Money | None = strawberry.field(
        description="The most that the cap may be, or that one order may cost now, where that is the reason."
    )
