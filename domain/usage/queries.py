"""Who still uses what is announced to go."""

from __future__ import annotations

from models.usage import DeprecatedUse


async def deprecated_uses() -> list[DeprecatedUse]:
    """Return the counts, by coordinate and then by client."""
    return await DeprecatedUse.all().order_by("coordinate", "client_id")
