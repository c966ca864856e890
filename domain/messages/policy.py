"""The limits of messages, as this deployment sets them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from kernel.settings import Settings


@dataclass(frozen=True, slots=True)
class Policy:
    consents_per_template_max: int
    age_max: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            consents_per_template_max=settings.message_consents_max,
            age_max=timedelta(seconds=settings.message_age_max_s),
        )
