"""How much may lie where, and what takes how many people, as the settings say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from kernel.settings import Settings


@dataclass(frozen=True, slots=True)
class Policy:
    reserve_min_basis_points: int
    forecast_weeks: int
    forecast_margin_basis_points: int
    amount_max_fen: int
    director_above_fen: int
    transfer_lifetime: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            reserve_min_basis_points=settings.escrow_reserve_min_basis_points,
            forecast_weeks=settings.forecast_weeks,
            forecast_margin_basis_points=settings.forecast_margin_basis_points,
            amount_max_fen=settings.withdrawal_amount_max_fen,
            director_above_fen=settings.withdrawal_director_above_fen,
            transfer_lifetime=timedelta(seconds=settings.transfer_lifetime_s),
        )
