"""The times and limits by which orders live, read once from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from domain.cards.routing import Rules
from domain.risk.rules import Limits
from kernel.settings import Settings


@dataclass(frozen=True, slots=True)
class Policy:
    limits: Limits
    pay_within: timedelta
    payment_query_after: timedelta
    deduction_lost_after: timedelta
    recharge_query_after: timedelta
    compensate_after: timedelta
    hint_interval: timedelta
    routing: Rules
    review_within: timedelta
    face_token_lifetime: timedelta
    drafts_max: int
    # Whether orders that are made at the same time share statements.
    joins_loads: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            limits=Limits(
                amount_min_fen=settings.recharge_amount_min_fen,
                amount_max_fen=settings.recharge_amount_max_fen,
                daily_max_fen=settings.recharge_daily_max_fen,
                unpaid_orders_max=settings.unpaid_orders_per_user_max,
                review_above_fen=settings.review_above_fen,
                split_window=timedelta(seconds=settings.split_window_s),
                top_up_max_fen=settings.top_up_amount_max_fen,
                wallet_max_fen=settings.wallet_balance_max_fen,
                unattended_per_day_max=settings.mandate_deductions_per_day_max,
            ),
            pay_within=timedelta(seconds=settings.payment_deadline_s),
            payment_query_after=timedelta(seconds=settings.payment_query_delay_s),
            deduction_lost_after=timedelta(seconds=settings.mandate_deduction_lost_after_s),
            recharge_query_after=timedelta(seconds=settings.recharge_query_delay_s),
            compensate_after=timedelta(seconds=settings.compensation_after_s),
            hint_interval=timedelta(seconds=settings.issuer_hint_interval_s),
            routing=Rules(
                reserve_fen=settings.issuer_deposit_reserve_fen, rest=timedelta(seconds=settings.issuer_rest_s)
            ),
            review_within=timedelta(seconds=settings.review_deadline_s),
            face_token_lifetime=timedelta(seconds=settings.face_token_lifetime_s),
            drafts_max=settings.drafts_per_sync_max,
            joins_loads=settings.joined_loads,
        )
