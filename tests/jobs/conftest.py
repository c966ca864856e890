"""The house of the orders room, whose stories the commands tell."""

from __future__ import annotations

from tests.orders.conftest import house

__all__ = ["house"]
