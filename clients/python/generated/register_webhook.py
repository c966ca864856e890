"""The mutation `RegisterWebhook`.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

from ..errors import Refusal, Unknown
from ..wire import Operation, enum_of
from .enums import WebhookDocumentReason, WebhookState, WebhookUrlReason


@dataclass(frozen=True, slots=True)
class RegisterWebhookCursorError(Refusal):
    typename: Literal["CursorError"] = "CursorError"


@dataclass(frozen=True, slots=True)
class RegisterWebhookForbidden(Refusal):
    typename: Literal["Forbidden"] = "Forbidden"


@dataclass(frozen=True, slots=True)
class RegisterWebhookInvalidWebhookDocument(Refusal):
    document_reason: WebhookDocumentReason | str
    """What is wrong with it."""
    detail: str
    """Where exactly, for whoever wrote the document."""
    typename: Literal["InvalidWebhookDocument"] = "InvalidWebhookDocument"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            code=data["code"],
            message=data["message"],
            document_reason=enum_of(WebhookDocumentReason, data["documentReason"]),
            detail=data["detail"],
        )


@dataclass(frozen=True, slots=True)
class RegisterWebhookInvalidWebhookUrl(Refusal):
    url_reason: WebhookUrlReason | str
    """What is wrong with it."""
    typename: Literal["InvalidWebhookUrl"] = "InvalidWebhookUrl"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            code=data["code"],
            message=data["message"],
            url_reason=enum_of(WebhookUrlReason, data["urlReason"]),
        )


@dataclass(frozen=True, slots=True)
class RegisterWebhookLimitReached(Refusal):
    typename: Literal["LimitReached"] = "LimitReached"


@dataclass(frozen=True, slots=True)
class RegisterWebhookMaintenanceError(Refusal):
    typename: Literal["MaintenanceError"] = "MaintenanceError"


@dataclass(frozen=True, slots=True)
class RegisterWebhookWebhookSecretSuccessWebhook:
    id: str
    """Opaque and stable; give it to `node(id)`."""
    url: str
    """Where the events are sent."""
    event_type: str
    """The `type` of its events: the field of the subscription."""
    state: WebhookState | str
    """Whether events are delivered."""
    cursor: str | None
    """That of the last event that the receiver has taken."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            id=data["id"],
            url=data["url"],
            event_type=data["eventType"],
            state=enum_of(WebhookState, data["state"]),
            cursor=data["cursor"],
        )


@dataclass(frozen=True, slots=True)
class RegisterWebhookWebhookSecretSuccess:
    secret: str
    """Signs every request; `whsec_` and base64. It is shown only now."""
    webhook: RegisterWebhookWebhookSecretSuccessWebhook
    """The webhook."""
    typename: Literal["WebhookSecretSuccess"] = "WebhookSecretSuccess"

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(
            secret=data["secret"],
            webhook=RegisterWebhookWebhookSecretSuccessWebhook.of(data["webhook"]),
        )


RegisterWebhookResult: TypeAlias = (
    RegisterWebhookCursorError
    | RegisterWebhookForbidden
    | RegisterWebhookInvalidWebhookDocument
    | RegisterWebhookInvalidWebhookUrl
    | RegisterWebhookLimitReached
    | RegisterWebhookMaintenanceError
    | RegisterWebhookWebhookSecretSuccess
    | Unknown
)


def _read_register_webhook_result(data: dict[str, Any]) -> RegisterWebhookResult:
    match data["__typename"]:
        case "CursorError":
            return RegisterWebhookCursorError.of(data)
        case "Forbidden":
            return RegisterWebhookForbidden.of(data)
        case "InvalidWebhookDocument":
            return RegisterWebhookInvalidWebhookDocument.of(data)
        case "InvalidWebhookUrl":
            return RegisterWebhookInvalidWebhookUrl.of(data)
        case "LimitReached":
            return RegisterWebhookLimitReached.of(data)
        case "MaintenanceError":
            return RegisterWebhookMaintenanceError.of(data)
        case "WebhookSecretSuccess":
            return RegisterWebhookWebhookSecretSuccess.of(data)
        case _:
            return Unknown.of(data)


TEXT = """\
mutation RegisterWebhook($url: String!, $document: String, $documentId: String, $variables: JSONObject, $after: String) {
  registerWebhook(
    input: { url: $url, document: $document, documentId: $documentId, variables: $variables, after: $after }
  ) {
    __typename
    ... on WebhookSecretSuccess { secret webhook { id url eventType state cursor } }
    ... on UserError { code message }
    ... on InvalidWebhookUrl { urlReason: reason }
    ... on InvalidWebhookDocument { documentReason: reason detail }
  }
}
"""
REGISTER_WEBHOOK: Operation[RegisterWebhookResult] = Operation(
    name="RegisterWebhook",
    kind="mutation",
    field="registerWebhook",
    sha256="b84d1cc61779b5914c2baa7ca269b445b0dcaa099d425bd8c82ca0e8993e6cf8",
    text=TEXT,
    idempotent=False,
    read=_read_register_webhook_result,
)
