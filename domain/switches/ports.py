"""What the status of the service is told by others: which third parties are not called at the moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Degraded:
    """A third party that has failed too often lately, and since when; what depends on it answers without it."""

    party: str
    since: datetime


class Health(Protocol):
    def degraded(self) -> Sequence[Degraded]:
        """Return the third parties that are degraded, as far as this process knows."""


class AllWell:
    """The health of third parties that nobody watches."""

    def degraded(self) -> Sequence[Degraded]:
        return ()


ALL_WELL = AllWell()
