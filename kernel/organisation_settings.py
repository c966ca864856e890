"""The settings of enterprise customers, apart from the others since those fill a file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings


class OrganisationSettings(BaseSettings):
    """How much there may be of everything that an organisation has."""

    organisations_per_user_max: Annotated[int, Field(ge=1)] = 5
    organisation_members_max: Annotated[int, Field(ge=1)] = 500
    organisation_cards_max: Annotated[int, Field(ge=1)] = 1_000
    organisation_invitations_open_max: Annotated[int, Field(ge=1)] = 100
    organisation_invitation_lifetime_s: Annotated[float, Field(gt=0)] = 259_200.0
