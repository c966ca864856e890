"""Webhooks as their owners see them: subscriptions that are delivered to a URL."""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

import strawberry

from domain.webhooks.operations import WithSecret
from domain.webhooks.ports import Outcome
from models.webhooks import Webhook as Row
from models.webhooks import WebhookDelivery as DeliveryRow
from schema.types import costs
from schema.types.context import Info
from schema.types.enums import DeliveryError, SuspensionReason, WebhookState
from schema.types.relay import Connection, Node, Page, global_id
from schema.types.scalars import DateTime, JsonObject

First = Annotated[int, strawberry.argument(description="How many rows, from 1 to 100.")]
After = Annotated[str | None, strawberry.argument(description="The `endCursor` of the page before.")]


@strawberry.type(description="One attempt to deliver an event. The answer's body is not kept.")
class WebhookDelivery(Node):
    message_id: str | None = strawberry.field(
        description="The `webhook-id` that was sent, the same at each attempt of an event; null where nothing was sent."
    )
    cursor: str | None = strawberry.field(
        description="The cursor of the event: resume `after` it to pass it by. Null for a test."
    )
    attempt: int = strawberry.field(description="The how-manieth attempt of this event it was.")
    succeeded: bool = strawberry.field(description="Whether the receiver has taken it.")
    status: int | None = strawberry.field(description="The HTTP status of the answer; null where there was none.")
    error: DeliveryError | None = strawberry.field(description="Why it was no success.")
    latency_ms: int = strawberry.field(description="How long it took, in milliseconds.")
    occurred_at: DateTime = strawberry.field(description="When it ended.")

    @classmethod
    def of(cls, row: DeliveryRow) -> Self:
        return cls(
            id=global_id("WebhookDelivery", row.id),
            message_id=row.message_id,
            cursor=row.cursor,
            attempt=row.attempt,
            succeeded=row.error is None,
            status=row.status,
            error=DeliveryError(row.error) if row.error else None,
            latency_ms=row.latency_ms,
            occurred_at=DateTime(row.occurred_at),
        )


WebhookDeliveryConnection = Connection[WebhookDelivery]


@strawberry.type(description="A subscription whose events are sent to a URL, signed by Standard Webhooks 1.0.0.")
class Webhook(Node):
    url: str = strawberry.field(description="Where the events are sent.")
    document: str = strawberry.field(description="The subscription.")
    variables: JsonObject = strawberry.field(description="Its variables, without `after`.")
    operation_name: str | None = strawberry.field(description="The name of the operation, as it was given.")
    event_type: str = strawberry.field(description="The `type` of its events: the field of the subscription.")
    cursor: str | None = strawberry.field(description="That of the last event that the receiver has taken.")
    state: WebhookState = strawberry.field(description="Whether events are delivered.")
    suspension_reason: SuspensionReason | None = strawberry.field(description="Why deliveries have stopped, if so.")
    failing_since: DateTime | None = strawberry.field(
        description="When the event that is tried now failed first; null where the last attempt was a success."
    )
    next_attempt_at: DateTime | None = strawberry.field(description="When it is tried again; null where nothing fails.")
    previous_secret_until: DateTime | None = strawberry.field(
        description="Until when the secret before the last rotation signs as well."
    )
    created_at: DateTime = strawberry.field(description="When it was registered.")
    key: strawberry.Private[UUID]

    @strawberry.field(
        directives=[costs.READS, costs.PAGE],
        description="The log of its deliveries, newest first. Old rows are deleted.",
    )
    async def deliveries(self, info: Info, first: First = 20, after: After = None) -> WebhookDeliveryConnection:
        page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
        rows = await info.context.loaders.webhook_deliveries.load((info.context.signed_in, self.key, page))
        return page.connection(rows, WebhookDelivery.of)

    @classmethod
    def of(cls, row: Row) -> Self:
        retries = row.state is WebhookState.ACTIVE and row.failing_since is not None
        return cls(
            id=global_id("Webhook", row.id),
            url=row.url,
            document=row.document,
            variables=JsonObject(row.variables),
            operation_name=row.operation_name,
            event_type=row.event_type,
            cursor=row.cursor,
            state=row.state,
            suspension_reason=row.suspension_reason,
            failing_since=DateTime(row.failing_since) if row.failing_since else None,
            next_attempt_at=DateTime(row.next_attempt_at) if retries else None,
            previous_secret_until=DateTime(row.previous_secret_until) if row.previous_secret_until else None,
            created_at=DateTime(row.created_at),
            key=row.id,
        )


WebhookConnection = Connection[Webhook]


@strawberry.input(description="A subscription, and where its events are sent.")
class RegisterWebhookInput:
    url: str = strawberry.field(description="An https URL on the public internet, without a user in it.")
    document: str | None = strawberry.field(
        default=None,
        description="One subscription operation with one field; declares `$after: String` and gives it as `after`.",
    )
    document_id: str | None = strawberry.field(
        default=None, description="The id of a persisted document, in place of its text."
    )
    variables: JsonObject | None = strawberry.field(default=None, description="Its variables, without `after`.")
    operation_name: str | None = strawberry.field(default=None, description="The name of the operation.")
    after: str | None = strawberry.field(
        default=None, description="A cursor to start behind; without it the webhook starts with what happens next."
    )


@strawberry.input(description="What changes of a webhook.")
class UpdateWebhookInput:
    webhook_id: strawberry.ID = strawberry.field(description="The webhook.")
    url: str = strawberry.field(description="Where events are sent from now on.")


@strawberry.input(description="One of the viewer's webhooks.")
class WebhookInput:
    webhook_id: strawberry.ID = strawberry.field(description="The webhook.")


@strawberry.input(description="Which webhook goes on, and from where.")
class ResumeWebhookInput:
    webhook_id: strawberry.ID = strawberry.field(description="The webhook.")
    after: str | None = strawberry.field(
        default=None,
        description="A cursor to go on behind: an earlier one delivers again, that of a failing event passes it by. "
        "Without it the webhook goes on where it stands.",
    )


@strawberry.type(description="The webhook as it is now.")
class WebhookSuccess:
    webhook: Webhook = strawberry.field(description="The webhook.")

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(webhook=Webhook.of(row))


@strawberry.type(description="The webhook and its new secret.")
class WebhookSecretSuccess:
    webhook: Webhook = strawberry.field(description="The webhook.")
    secret: str = strawberry.field(description="Signs every request; `whsec_` and base64. It is shown only now.")

    @classmethod
    def of(cls, made: WithSecret) -> Self:
        return cls(webhook=Webhook.of(made.webhook), secret=made.secret)


@strawberry.type(description="The webhook is deleted.")
class DeleteWebhookSuccess:
    webhook_id: strawberry.ID = strawberry.field(description="The id that it had.")

    @classmethod
    def of(cls, key: UUID) -> Self:
        return cls(webhook_id=global_id("Webhook", key))


@strawberry.type(description="What became of the test message.")
class SendTestWebhookSuccess:
    succeeded: bool = strawberry.field(description="Whether the receiver has taken it.")
    status: int | None = strawberry.field(description="The HTTP status of the answer; null where there was none.")
    error: DeliveryError | None = strawberry.field(description="Why it was no success.")
    latency_ms: int = strawberry.field(description="How long it took, in milliseconds.")

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        return cls(
            succeeded=outcome.succeeded, status=outcome.status, error=outcome.error, latency_ms=outcome.latency_ms
        )
