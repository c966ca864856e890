"""Who approves, and by which code: asked for once for everything that takes a second factor."""

from __future__ import annotations

from domain.access.policy import Policy
from domain.access.second_factor import SecondFactorRefused, Signature, sign
from domain.identity import staff
from kernel.states import StaffRole
from schema.types.context import Info


async def signature(info: Info, code: str | None, roles: frozenset[StaffRole]) -> Signature:
    """Return who has signed with the code, where they have one of the roles. Raises StaffOnly, SecondFactorRefused or
    TooManyAttempts."""
    services = info.context.services
    member = await staff.require(viewer=info.context.signed_in, roles=roles)
    if code is None:
        raise SecondFactorRefused
    return await sign(
        staff=member,
        code=code,
        sealer=services.sealer,
        limit=Policy.of(services.settings).staff_attempts,
        now=info.context.now,
    )
