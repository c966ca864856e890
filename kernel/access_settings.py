"""The settings of step-up, payment passwords and unusual sign-ins, apart from the others since those fill a file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings


class AccessSettings(BaseSettings):
    """How long a second proof is good, how often may be guessed, and what makes a sign-in unusual."""

    step_up_lifetime_s: Annotated[float, Field(ge=60)] = 600.0
    step_up_grant_lifetime_s: Annotated[float, Field(ge=10)] = 300.0
    step_up_attempts_max: Annotated[int, Field(ge=1)] = 10
    step_ups_per_user_daily_max: Annotated[int, Field(ge=1)] = 20
    payment_password_attempts_max: Annotated[int, Field(ge=1)] = 5
    payment_password_lock_s: Annotated[float, Field(gt=0)] = 1_800.0
    logins_concurrent_max: Annotated[int, Field(ge=1)] = 8
    sign_ins_concurrent_max: Annotated[int, Field(ge=1)] = 2
    sign_ins_waiting_max: Annotated[int, Field(ge=1)] = 400
    # A process gives tokens at this pace, and so many at once after a pause; whoever comes in a rush waits in line.
    sign_ins_per_s_max: Annotated[float, Field(gt=0)] = 10.0
    sign_ins_burst_max: Annotated[int, Field(ge=1)] = 5
    # So many failures of one subject within the window lock it.
    sign_in_failures_per_user_max: Annotated[int, Field(ge=1)] = 5
    sign_in_failures_per_client_max: Annotated[int, Field(ge=1)] = 20
    sign_in_failures_per_address_max: Annotated[int, Field(ge=1)] = 100
    sign_in_failures_window_s: Annotated[float, Field(gt=0)] = 900.0
    sign_in_lock_s: Annotated[float, Field(gt=0)] = 1_800.0
    sign_in_challenge_lifetime_s: Annotated[float, Field(ge=60)] = 300.0
    # Faster than this over the ground nobody comes from one sign-in to the next.
    sign_in_speed_max_km_per_h: Annotated[int, Field(ge=1)] = 1_000
    # Nearer than this two places may be the same one, whatever the clock says.
    sign_in_far_km: Annotated[int, Field(ge=1)] = 100
    # The database refuses to forget what is younger than 180 days.
    sign_in_history_days: Annotated[int, Field(ge=181)] = 400
    # The header in which our own proxy says where an address is: latitude, longitude and, if known, the city.
    client_place_header: str = ""
    # Access tokens whose signature was checked and is not checked again; each takes about 2 KB.
    verified_tokens_kept_max: Annotated[int, Field(ge=0)] = 8_192
    # How long a key signs access tokens before the next one takes its place.
    signing_key_period_s: Annotated[float, Field(ge=3_600)] = 30 * 86_400.0
    # How long a new signing key is published before it signs; longer than anybody keeps the published keys.
    signing_key_lead_s: Annotated[int, Field(ge=0)] = 900
