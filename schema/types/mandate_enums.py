"""The enum of mandates, apart from the others since those fill a file."""

from __future__ import annotations

from kernel.states import MandateState
from schema.types.describing import described

__all__ = ["MandateState"]

described(
    MandateState,
    "MandateState",
    "Where a mandate stands. What is over stays over.",
    {
        "PENDING": "待签约: waits for the user's signature at WeChat.",
        "ACTIVE": "In force.",
        "REVOKED": "已解约: the user has revoked it here.",
        "ENDED": "It has ended by its time, or the user has ended it at WeChat.",
        "REFUSED": "It was not signed in time, or a newer one took its place.",
    },
)
