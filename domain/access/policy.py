"""How long what is given out lasts, and how often something may be tried."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from domain.identity.codes import CodePolicy
from domain.signins.policy import SignInPolicy
from kernel.settings import Settings


@dataclass(frozen=True, slots=True)
class Attempts:
    """So many wrong tries of one subject within the window, and no more."""

    maximum: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    refresh_lifetime: timedelta
    session_lifetime: timedelta
    staff_session_lifetime: timedelta
    sessions_per_user_max: int
    device_code_lifetime: timedelta
    device_poll_interval_s: int
    user_code_attempts: Attempts
    staff_attempts: Attempts
    code_lifetime: timedelta
    assertion_lifetime_max: timedelta
    key_overlap: timedelta
    tokens_per_hour_max: int
    key_lead: timedelta
    key_period: timedelta
    serves_sandbox_tenant: bool
    sign_ins: SignInPolicy
    codes: CodePolicy

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            refresh_lifetime=timedelta(seconds=settings.refresh_token_lifetime_s),
            session_lifetime=timedelta(seconds=settings.session_lifetime_s),
            staff_session_lifetime=timedelta(seconds=settings.staff_session_lifetime_s),
            sessions_per_user_max=settings.sessions_per_user_max,
            device_code_lifetime=timedelta(seconds=settings.device_code_lifetime_s),
            device_poll_interval_s=settings.device_poll_interval_s,
            user_code_attempts=Attempts(
                settings.user_code_attempts_max, timedelta(seconds=settings.user_code_attempts_window_s)
            ),
            staff_attempts=Attempts(settings.staff_attempts_max, timedelta(seconds=settings.staff_attempts_window_s)),
            code_lifetime=timedelta(seconds=settings.authorization_code_lifetime_s),
            assertion_lifetime_max=timedelta(seconds=settings.client_assertion_lifetime_max_s),
            key_overlap=timedelta(seconds=settings.client_key_overlap_s),
            tokens_per_hour_max=settings.client_tokens_per_hour_max,
            key_lead=timedelta(seconds=settings.signing_key_lead_s),
            key_period=timedelta(seconds=settings.signing_key_period_s),
            serves_sandbox_tenant=settings.serves_sandbox_tenant,
            sign_ins=SignInPolicy.of(settings),
            codes=CodePolicy.of(settings),
        )
