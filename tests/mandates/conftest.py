"""The orders room, whose house has contracts for deductions as well."""

from __future__ import annotations

from tests.orders.conftest import house

__all__ = ["house"]
