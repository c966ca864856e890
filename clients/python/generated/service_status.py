"""The query `ServiceStatus`.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from ..wire import Operation, enum_of
from .enums import ServiceMode


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    mode: ServiceMode | str
    """What the service can do now."""
    message: str | None
    """What users shall be told of the maintenance."""
    until: datetime | None
    """When the maintenance should be over."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            mode=enum_of(ServiceMode, data["mode"]),
            message=data["message"],
            until=None if data["until"] is None else datetime.fromisoformat(data["until"]),
        )


TEXT = """\
query ServiceStatus {
  serviceStatus { mode message until }
}
"""
SERVICE_STATUS: Operation[ServiceStatus] = Operation(
    name="ServiceStatus",
    kind="query",
    field="serviceStatus",
    sha256="a2b869c8b21e864f26b21ae78d39f93d8fef148c74215e9750254a39a6359e03",
    text=TEXT,
    idempotent=True,
    read=ServiceStatus.of,
)
