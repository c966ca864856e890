"""The settings of the rooms, each of which has a file of its own."""

from __future__ import annotations

from kernel.access_settings import AccessSettings
from kernel.cache_settings import CacheSettings
from kernel.execution_settings import ExecutionSettings
from kernel.fund_settings import FundSettings
from kernel.mandate_settings import MandateSettings
from kernel.organisation_settings import OrganisationSettings
from kernel.reading_settings import ReadingSettings


class RoomSettings(
    AccessSettings,
    CacheSettings,
    ExecutionSettings,
    FundSettings,
    MandateSettings,
    OrganisationSettings,
    ReadingSettings,
):
    """All of them together, so that one more room is one more name here."""
