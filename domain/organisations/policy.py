"""How much there may be of what an organisation has, read once from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from kernel.settings import Settings


@dataclass(frozen=True, slots=True)
class OrganisationPolicy:
    per_user_max: int
    members_max: int
    cards_max: int
    invitations_open_max: int
    invitation_lifetime: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            per_user_max=settings.organisations_per_user_max,
            members_max=settings.organisation_members_max,
            cards_max=settings.organisation_cards_max,
            invitations_open_max=settings.organisation_invitations_open_max,
            invitation_lifetime=timedelta(seconds=settings.organisation_invitation_lifetime_s),
        )
