"""Fixtures of enterprise customers."""

from __future__ import annotations

import pytest

from tests.organisations.support import Firm, create_firm


@pytest.fixture
async def firm(database: str) -> Firm:
    """An organisation with an owner and a card."""
    return await create_firm()
