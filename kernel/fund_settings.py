"""The settings of escrow, withdrawals and the bank, apart from the others since those fill a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings


class FundSettings(BaseSettings):
    """How much may lie where, who must agree to it, and where the bank is; a part of Settings."""

    # So much of escrow lies in the reserve at least.
    escrow_reserve_min_basis_points: Annotated[int, Field(ge=0, le=10_000)] = 9_500
    # The forecast of a day is the mean of so many days of the same weekday, and so much more.
    forecast_weeks: Annotated[int, Field(ge=1, le=52)] = 4
    forecast_margin_basis_points: Annotated[int, Field(ge=0, le=100_000)] = 2_000
    # The hour in Asia/Shanghai from which the day's sweep is done.
    sweep_hour: Annotated[int, Field(ge=0, le=23)] = 7
    withdrawal_amount_max_fen: Annotated[int, Field(ge=1)] = 10_000_000_000
    withdrawal_director_above_fen: Annotated[int, Field(ge=0)] = 10_000_000
    # What nobody has approved by then is given up, and its money is free again.
    transfer_lifetime_s: Annotated[float, Field(gt=0)] = 259_200.0
    transfer_query_first_s: Annotated[float, Field(gt=0)] = 15.0
    transfer_queries_max: Annotated[int, Field(ge=1)] = 200
    settlement_retry_first_s: Annotated[float, Field(gt=0)] = 300.0
    settlement_attempts_max: Annotated[int, Field(ge=1)] = 288
    settlement_interval_s: Annotated[float, Field(ge=1)] = 3_600.0
    # The bank of the escrow accounts; in production nothing is sent where none is set.
    bank_url: str = ""
    bank_customer_id: str = "youka"
    bank_private_key_path: Path | None = None
    bank_private_key_pkcs11: str = ""
    bank_public_key_path: Path | None = None
