"""The limits of webhooks, as this deployment sets them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from domain.webhooks.rules import RetryPolicy
from kernel.settings import Settings


@dataclass(frozen=True, slots=True)
class Policy:
    per_user_max: int
    secret_overlap: timedelta
    retries: RetryPolicy

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            per_user_max=settings.webhooks_per_user_max,
            secret_overlap=timedelta(seconds=settings.webhook_secret_overlap_s),
            retries=RetryPolicy(
                give_up_after=timedelta(seconds=settings.webhook_give_up_after_s),
                retry_after_max=timedelta(seconds=settings.webhook_retry_after_max_s),
            ),
        )
