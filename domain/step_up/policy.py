"""How long second proofs last and how often they are tried, read once from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from domain.identity.codes import CodePolicy
from kernel.settings import Settings


@dataclass(frozen=True, slots=True)
class StepUpPolicy:
    lifetime: timedelta
    grant_lifetime: timedelta
    attempts_max: int
    per_user_daily_max: int
    codes: CodePolicy

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            lifetime=timedelta(seconds=settings.step_up_lifetime_s),
            grant_lifetime=timedelta(seconds=settings.step_up_grant_lifetime_s),
            attempts_max=settings.step_up_attempts_max,
            per_user_daily_max=settings.step_ups_per_user_daily_max,
            codes=CodePolicy.of(settings),
        )
