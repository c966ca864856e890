"""How large every bucket is, read once from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from domain.budgets.rules import Budget, Subject
from kernel.buckets import Bucket
from kernel.settings import Settings
from kernel.states import ClientKind

DEVELOPMENT_FACTOR = 1_000


@dataclass(frozen=True, slots=True)
class Policy:
    """`factor` makes every bucket larger. `of_kind` are the buckets of clients, `of_budget` those of mutations."""

    factor: int
    of_kind: Mapping[ClientKind, Bucket]
    anonymous: Bucket
    of_budget: Mapping[Budget, Mapping[Subject, Bucket]]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        factor = settings.rate_limit_factor or (DEVELOPMENT_FACTOR if settings.development else 1)

        def sized(capacity: int, refill_per_s: float) -> Bucket:
            return Bucket(capacity * factor, refill_per_s * factor)

        def refilled(refill_s: float, **capacities: int) -> dict[Subject, Bucket]:
            return {Subject(name.upper()): sized(each, 1 / refill_s) for name, each in capacities.items()}

        return cls(
            factor=factor,
            of_kind={
                ClientKind.MINI_PROGRAM: sized(settings.cost_mini_program_max, settings.cost_mini_program_refill_per_s),
                ClientKind.CAR: sized(settings.cost_car_max, settings.cost_car_refill_per_s),
                ClientKind.PARTNER: sized(settings.cost_partner_max, settings.cost_partner_refill_per_s),
                ClientKind.STAFF: sized(settings.cost_staff_max, settings.cost_staff_refill_per_s),
            },
            anonymous=sized(settings.cost_anonymous_max, settings.cost_anonymous_refill_per_s),
            of_budget={
                Budget.MONEY: refilled(
                    settings.money_refill_s,
                    user=settings.money_per_user_max,
                    device=settings.money_per_device_max,
                    card=settings.money_per_card_max,
                ),
                Budget.CONTACT: refilled(
                    settings.contact_refill_s,
                    user=settings.contact_per_user_max,
                    device=settings.contact_per_device_max,
                    card=settings.contact_per_card_max,
                ),
                Budget.VOICE: refilled(
                    settings.voice_refill_s, user=settings.voice_per_user_max, device=settings.voice_per_device_max
                ),
            },
        )
