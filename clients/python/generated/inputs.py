"""Input types of the schema. What is None is not sent.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..wire import Input


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationInput(Input):
    """A place on the globe (WGS 84)."""

    latitude: float
    longitude: float
