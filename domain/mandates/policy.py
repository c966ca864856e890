"""The most that mandates may allow, and their times, read once from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from kernel.settings import Settings


@dataclass(frozen=True, slots=True)
class MandatePolicy:
    transaction_max_fen: int
    daily_max_fen: int
    lifetime_max: timedelta
    sign_within: timedelta
    query_after: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            transaction_max_fen=settings.mandate_transaction_max_fen,
            daily_max_fen=settings.mandate_daily_max_fen,
            lifetime_max=timedelta(days=settings.mandate_lifetime_max_days),
            sign_within=timedelta(seconds=settings.mandate_signing_s),
            query_after=timedelta(seconds=settings.payment_query_delay_s),
        )
