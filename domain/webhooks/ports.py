"""What webhooks need from outside their rules: somebody who sends, and somebody who knows the schema."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from domain.identity.viewer import Viewer
from kernel.errors import Locale, YoukaError


class DeliveryError(StrEnum):
    """Why an attempt was no success; ANSWERED is a status outside 200 to 299, redirects among them."""

    ANSWERED = "ANSWERED"
    TIMEOUT = "TIMEOUT"
    UNREACHABLE = "UNREACHABLE"
    UNRESOLVABLE = "UNRESOLVABLE"
    ADDRESS_REFUSED = "ADDRESS_REFUSED"
    TLS = "TLS"
    PROTOCOL = "PROTOCOL"
    EXECUTION = "EXECUTION"  # the subscription itself failed on our side, so nothing was sent


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt. `status` is null where nothing was answered; the answer's body is never kept."""

    status: int | None
    latency_ms: int
    error: DeliveryError | None
    retry_after_s: float | None = None

    @property
    def succeeded(self) -> bool:
        return self.error is None


class WebhookSender(Protocol):
    async def check(self, url: str) -> None:
        """Raises WebhookUrlInvalid where the URL may not be called, or where its host leads to such an address."""

    async def send(self, url: str, *, headers: dict[str, str], body: bytes) -> Outcome:
        """POST the body once, to an address that was checked in this call. Never raises for the receiver's sake."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A subscription as a partner registers it; `variables` without `after`, which is ours to give.

    The document is given as its text, or by the id of a persisted one, or by both.
    """

    document: str | None
    variables: dict[str, Any]
    operation_name: str | None
    document_id: str | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """A subscription that the viewer may take now: its document, its root field, and the cursor where it starts.

    `cursor` is null where the first event is the state of things itself, so that nothing can be missed before it.
    """

    document: str
    event_type: str
    cursor: str | None


class DocumentReason(StrEnum):
    TOO_LONG = "TOO_LONG"
    MISSING = "MISSING"
    NOT_PERSISTED = "NOT_PERSISTED"
    SYNTAX = "SYNTAX"
    VALIDATION = "VALIDATION"
    TOO_COMPLEX = "TOO_COMPLEX"
    OPERATION = "OPERATION"
    ROOT_FIELD = "ROOT_FIELD"
    AFTER_MISSING = "AFTER_MISSING"
    AFTER_GIVEN = "AFTER_GIVEN"
    VARIABLES = "VARIABLES"
    REFUSED = "REFUSED"


class WebhookDocumentInvalid(YoukaError):
    """`reason` is a DocumentReason; `detail` is for the document's author, in English, as GraphQL's own errors are."""

    code = "WEBHOOK_DOCUMENT_INVALID"
    messages = {
        "zh-CN": "该订阅不能用于webhook: {reason}",
        "en": "This subscription cannot feed a webhook: {reason}",
    }


class Admission(Protocol):
    """Knows the schema, and takes subscriptions on behalf of whoever registers them."""

    async def admit(
        self, *, asked: Asked, after: str | None, viewer: Viewer, locale: Locale, now: datetime
    ) -> Admitted:
        """Check the document and take its first step as the viewer. Raises WebhookDocumentInvalid or
        CursorInvalid."""
