"""The mutation `SendTestWebhook`.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

from ..errors import Refusal, Unknown
from ..wire import Operation, enum_of
from .enums import WebhookDeliveryError


@dataclass(frozen=True, slots=True)
class SendTestWebhookForbidden(Refusal):
    typename: Literal["Forbidden"] = "Forbidden"


@dataclass(frozen=True, slots=True)
class SendTestWebhookMaintenanceError(Refusal):
    typename: Literal["MaintenanceError"] = "MaintenanceError"


@dataclass(frozen=True, slots=True)
class SendTestWebhookNotFound(Refusal):
    typename: Literal["NotFound"] = "NotFound"


@dataclass(frozen=True, slots=True)
class SendTestWebhookRateLimitedError(Refusal):
    typename: Literal["RateLimitedError"] = "RateLimitedError"


@dataclass(frozen=True, slots=True)
class SendTestWebhookSuccess:
    succeeded: bool
    """Whether the receiver has taken it."""
    status: int | None
    """The HTTP status of the answer; null where there was none."""
    error: WebhookDeliveryError | str | None
    """Why it was no success."""
    latency_ms: int
    """How long it took, in milliseconds."""
    typename: Literal["SendTestWebhookSuccess"] = "SendTestWebhookSuccess"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            succeeded=data["succeeded"],
            status=data["status"],
            error=None if data["error"] is None else enum_of(WebhookDeliveryError, data["error"]),
            latency_ms=data["latencyMs"],
        )


SendTestWebhookResult: TypeAlias = (
    SendTestWebhookForbidden
    | SendTestWebhookMaintenanceError
    | SendTestWebhookNotFound
    | SendTestWebhookRateLimitedError
    | SendTestWebhookSuccess
    | Unknown
)


def _read_send_test_webhook_result(data: dict[str, Any]) -> SendTestWebhookResult:
    match data["__typename"]:
        case "Forbidden":
            return SendTestWebhookForbidden.of(data)
        case "MaintenanceError":
            return SendTestWebhookMaintenanceError.of(data)
        case "NotFound":
            return SendTestWebhookNotFound.of(data)
        case "RateLimitedError":
            return SendTestWebhookRateLimitedError.of(data)
        case "SendTestWebhookSuccess":
            return SendTestWebhookSuccess.of(data)
        case _:
            return Unknown.of(data)


TEXT = """\
mutation SendTestWebhook($webhook: ID!) {
  sendTestWebhook(input: { webhookId: $webhook }) {
    __typename
    ... on SendTestWebhookSuccess { succeeded status error latencyMs }
    ... on UserError { code message }
  }
}
"""
SEND_TEST_WEBHOOK: Operation[SendTestWebhookResult] = Operation(
    name="SendTestWebhook",
    kind="mutation",
    field="sendTestWebhook",
    sha256="158f7e8d99396c9a8e09257def294d9bf37c894315ad6f7017a5918eda3bbce4",
    text=TEXT,
    idempotent=False,
    read=_read_send_test_webhook_result,
)
