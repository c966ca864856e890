"""The house of the orders room and the client of the schema's, whose orders operators look for."""

from __future__ import annotations

from tests.orders.conftest import house
from tests.schema.conftest import client, nobody

__all__ = ["client", "house", "nobody"]
