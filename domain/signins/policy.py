"""How often a sign-in may fail, and what is unusual, read once from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from domain.signins.rules import Unusual
from kernel.settings import Settings


@dataclass(frozen=True, slots=True)
class SignInPolicy:
    per_user_max: int
    per_client_max: int
    per_address_max: int
    window: timedelta
    lock: timedelta
    challenge_lifetime: timedelta
    unusual: Unusual

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            per_user_max=settings.sign_in_failures_per_user_max,
            per_client_max=settings.sign_in_failures_per_client_max,
            per_address_max=settings.sign_in_failures_per_address_max,
            window=timedelta(seconds=settings.sign_in_failures_window_s),
            lock=timedelta(seconds=settings.sign_in_lock_s),
            challenge_lifetime=timedelta(seconds=settings.sign_in_challenge_lifetime_s),
            unusual=Unusual(settings.sign_in_far_km, settings.sign_in_speed_max_km_per_h),
        )
