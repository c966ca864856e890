"""The times and limits of conversations, read once from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from kernel.settings import Settings


@dataclass(frozen=True, slots=True)
class VoicePolicy:
    transcript_length_max: int
    confirm_within: timedelta
    session_lifetime: timedelta
    sessions_max: int
    search_radius_m: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            transcript_length_max=settings.voice_transcript_length_max,
            confirm_within=timedelta(seconds=settings.voice_confirm_within_s),
            session_lifetime=timedelta(seconds=settings.voice_session_lifetime_s),
            sessions_max=settings.voice_sessions_per_user_max,
            search_radius_m=min(settings.voice_search_radius_m, settings.search_radius_max_m),
        )
