"""The mutation `DeleteWebhook`.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

from ..errors import Refusal, Unknown
from ..wire import Operation


@dataclass(frozen=True, slots=True)
class DeleteWebhookSuccess:
    webhook_id: str
    """The id that it had."""
    typename: Literal["DeleteWebhookSuccess"] = "DeleteWebhookSuccess"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            webhook_id=data["webhookId"],
        )


@dataclass(frozen=True, slots=True)
class DeleteWebhookForbidden(Refusal):
    typename: Literal["Forbidden"] = "Forbidden"


@dataclass(frozen=True, slots=True)
class DeleteWebhookMaintenanceError(Refusal):
    typename: Literal["MaintenanceError"] = "MaintenanceError"


@dataclass(frozen=True, slots=True)
class DeleteWebhookNotFound(Refusal):
    typename: Literal["NotFound"] = "NotFound"


DeleteWebhookResult: TypeAlias = (
    DeleteWebhookSuccess | DeleteWebhookForbidden | DeleteWebhookMaintenanceError | DeleteWebhookNotFound | Unknown
)


def _read_delete_webhook_result(data: dict[str, Any]) -> DeleteWebhookResult:
    match data["__typename"]:
        case "DeleteWebhookSuccess":
            return DeleteWebhookSuccess.of(data)
        case "Forbidden":
            return DeleteWebhookForbidden.of(data)
        case "MaintenanceError":
            return DeleteWebhookMaintenanceError.of(data)
        case "NotFound":
            return DeleteWebhookNotFound.of(data)
        case _:
            return Unknown.of(data)


TEXT = """\
mutation DeleteWebhook($webhook: ID!) {
  deleteWebhook(input: { webhookId: $webhook }) {
    __typename
    ... on DeleteWebhookSuccess { webhookId }
    ... on UserError { code message }
  }
}
"""
DELETE_WEBHOOK: Operation[DeleteWebhookResult] = Operation(
    name="DeleteWebhook",
    kind="mutation",
    field="deleteWebhook",
    sha256="a395503c7ff1253f8bee70679c0c3fa5f519a527f764ae7ed39c50c1099df4cc",
    text=TEXT,
    idempotent=False,
    read=_read_delete_webhook_result,
)
