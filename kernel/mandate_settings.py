"""The settings of mandates, apart from the others since those fill a file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings


class MandateSettings(BaseSettings):
    """The most that a mandate may allow. Larger orders take a face, so they are never paid by one."""

    # The template (委托代扣模板) of contracts for deductions; without it there are none.
    wechat_pay_plan_id: Annotated[int, Field(ge=1)] | None = None
    mandate_transaction_max_fen: Annotated[int, Field(ge=1)] = 100_000
    mandate_daily_max_fen: Annotated[int, Field(ge=1)] = 200_000
    mandate_deductions_per_day_max: Annotated[int, Field(ge=1)] = 5
    mandate_lifetime_max_days: Annotated[int, Field(ge=1)] = 365
    mandate_signing_s: Annotated[float, Field(gt=0)] = 600.0
    # What the channel has been asked for and does not know so long after will not come any more.
    mandate_deduction_lost_after_s: Annotated[float, Field(gt=0)] = 60.0
