"""Webhooks of partners."""

from __future__ import annotations

from uuid import UUID

from domain.webhooks import operations, queries
from domain.webhooks.ports import Asked
from resolvers.payloads import payload
from schema.types.context import Info
from schema.types.inputs import Given
from schema.types.payloads import (
    DeleteWebhookPayload,
    PauseWebhookPayload,
    RegisterWebhookPayload,
    ResumeWebhookPayload,
    RotateWebhookSecretPayload,
    SendTestWebhookPayload,
    UpdateWebhookPayload,
)
from schema.types.refusals import refusals
from schema.types.relay import Page, key_of
from schema.types.webhooks import (
    After,
    DeleteWebhookSuccess,
    First,
    RegisterWebhookInput,
    ResumeWebhookInput,
    SendTestWebhookSuccess,
    UpdateWebhookInput,
    Webhook,
    WebhookConnection,
    WebhookDelivery,
    WebhookInput,
    WebhookSecretSuccess,
    WebhookSuccess,
)


async def webhooks(info: Info, first: First = 20, after: After = None) -> WebhookConnection:
    page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
    with refusals(info):
        rows = await queries.of_viewer(viewer=info.context.signed_in, first=page.limit, after=page.after_id)
    return page.connection(rows, Webhook.of)


async def webhook_by_key(info: Info, key: UUID) -> Webhook | None:
    row = await queries.owned(viewer=info.context.signed_in, webhook_id=key)
    return Webhook.of(row) if row else None


async def delivery_by_key(info: Info, key: UUID) -> WebhookDelivery | None:
    row = await queries.delivery(viewer=info.context.signed_in, delivery_id=key)
    return WebhookDelivery.of(row) if row else None


@payload
async def register_webhook(info: Info, input: Given[RegisterWebhookInput]) -> RegisterWebhookPayload:
    context, webhooks = info.context, info.context.webhooks
    made = await operations.register(
        viewer=context.signed_in,
        url=input.url,
        asked=Asked(input.document, input.variables or {}, input.operation_name, input.document_id),
        after=input.after,
        locale=context.locale,
        admission=webhooks.admission,
        sender=webhooks.sender,
        sealer=context.services.sealer,
        policy=webhooks.policy,
        now=context.now,
    )
    webhooks.poke()
    return WebhookSecretSuccess.of(made)


@payload
async def update_webhook(info: Info, input: Given[UpdateWebhookInput]) -> UpdateWebhookPayload:
    context = info.context
    row = await operations.update(
        viewer=context.signed_in,
        webhook_id=key_of(input.webhook_id, "Webhook"),
        url=input.url,
        sender=context.webhooks.sender,
        now=context.now,
    )
    return WebhookSuccess.of(row)


@payload
async def pause_webhook(info: Info, input: Given[WebhookInput]) -> PauseWebhookPayload:
    row = await operations.pause(viewer=info.context.signed_in, webhook_id=key_of(input.webhook_id, "Webhook"))
    return WebhookSuccess.of(row)


@payload
async def resume_webhook(info: Info, input: Given[ResumeWebhookInput]) -> ResumeWebhookPayload:
    context = info.context
    row = await operations.resume(
        viewer=context.signed_in,
        webhook_id=key_of(input.webhook_id, "Webhook"),
        after=input.after,
        admission=context.webhooks.admission,
        now=context.now,
    )
    context.webhooks.poke()
    return WebhookSuccess.of(row)


@payload
async def rotate_webhook_secret(info: Info, input: Given[WebhookInput]) -> RotateWebhookSecretPayload:
    context = info.context
    made = await operations.rotate_secret(
        viewer=context.signed_in,
        webhook_id=key_of(input.webhook_id, "Webhook"),
        sealer=context.services.sealer,
        policy=context.webhooks.policy,
        now=context.now,
    )
    return WebhookSecretSuccess.of(made)


@payload
async def delete_webhook(info: Info, input: Given[WebhookInput]) -> DeleteWebhookPayload:
    key = await operations.delete(viewer=info.context.signed_in, webhook_id=key_of(input.webhook_id, "Webhook"))
    return DeleteWebhookSuccess.of(key)


@payload
async def send_test_webhook(info: Info, input: Given[WebhookInput]) -> SendTestWebhookPayload:
    context = info.context
    outcome = await operations.send_test(
        viewer=context.signed_in,
        webhook_id=key_of(input.webhook_id, "Webhook"),
        sender=context.webhooks.sender,
        sealer=context.services.sealer,
        now=context.now,
    )
    return SendTestWebhookSuccess.of(outcome)
