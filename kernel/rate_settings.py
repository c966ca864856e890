"""The settings of how much a client may ask: buckets that time refills. Settings has them all."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


class RateSettings(BaseSettings):
    """Sizes and refills; costs are counted as docs/rate-limits.md says."""

    # Everything below is so many times larger; by default 1, and a thousand in development.
    rate_limit_factor: Annotated[int, Field(ge=1)] | None = None
    cost_mini_program_max: Count = 10_000
    cost_mini_program_refill_per_s: Rate = 200
    cost_car_max: Count = 5_000
    cost_car_refill_per_s: Rate = 100
    # A partner's client may have a quota of its own.
    cost_partner_max: Count = 50_000
    cost_partner_refill_per_s: Rate = 1_000
    cost_staff_max: Count = 50_000
    cost_staff_refill_per_s: Rate = 1_000
    # Many people may be behind one address.
    cost_anonymous_max: Count = 20_000
    cost_anonymous_refill_per_s: Rate = 500
    # What a document costs that is refused before it is executed.
    cost_of_refusal: Annotated[int, Field(ge=0)] = 10
    # Whether answers have `extensions.cost`; the headers are always there.
    cost_shown: bool = True
    # How many clients a process remembers; those that were silent for longest begin anew.
    rate_limit_keys_max: Count = 100_000

    # How many mutations of money somebody may ask for at once, and how long it takes until one more may be asked for.
    money_per_user_max: Count = 30
    money_per_device_max: Count = 20
    money_per_card_max: Count = 15
    money_refill_s: Seconds = 2.0
    # The same for mutations that make a third party do something: messages, questions to issuers, tests of webhooks.
    contact_per_user_max: Count = 15
    contact_per_device_max: Count = 12
    contact_per_card_max: Count = 10
    contact_refill_s: Seconds = 4.0
    # Turns of conversations by voice.
    voice_per_user_max: Count = 60
    voice_per_device_max: Count = 45
    voice_refill_s: Seconds = 1.0
