"""Reading webhooks. Each query names the viewer, or is for whoever delivers."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from domain.identity.staff import is_staff
from domain.identity.viewer import Viewer
from kernel.errors import YoukaError
from models.access import OAuthClient
from models.identity import StaffMember, User
from models.webhooks import Webhook, WebhookDelivery

# The viewer whom a delivery runs as is made anew for each, so this is never what ends it.
VIEWER_LASTS = timedelta(days=1)


class WebhookNotFound(YoukaError):
    """Also where it is somebody else's: the answer must not tell the two apart."""

    code = "NOT_FOUND"
    messages = {"zh-CN": "没有找到该webhook", "en": "There is no such webhook"}


async def owned(*, viewer: Viewer, webhook_id: UUID | None) -> Webhook | None:
    """Return the webhook where it is the viewer's own."""
    return await Webhook.get_or_none(id=webhook_id, user_id=viewer.user_id) if webhook_id else None


async def of_viewer(*, viewer: Viewer, first: int, after: UUID | None) -> list[Webhook]:
    """Return a page of the viewer's webhooks, newest first."""
    found = Webhook.filter(user_id=viewer.user_id)
    if after:
        found = found.filter(id__lt=after)
    return await found.order_by("-id").limit(first)


async def deliveries(*, viewer: Viewer, webhook_id: UUID, first: int, after: UUID | None) -> list[WebhookDelivery]:
    """Return a page of the log of one of the viewer's webhooks, newest first; of another's there is nothing."""
    found = WebhookDelivery.filter(webhook_id=webhook_id, user_id=viewer.user_id)
    if after:
        found = found.filter(id__lt=after)
    return await found.order_by("-id").limit(first)


async def delivery(*, viewer: Viewer, delivery_id: UUID) -> WebhookDelivery | None:
    """Return one attempt of one of the viewer's webhooks."""
    return await WebhookDelivery.get_or_none(id=delivery_id, user_id=viewer.user_id)


def owner_of(webhook: Webhook, *, now: datetime) -> Viewer:
    """Return whom a delivery is executed as: the owner, with what their token allowed at the registration."""
    return Viewer(
        user_id=webhook.user_id,
        client_id=webhook.client_id,
        scopes=frozenset(webhook.scopes),
        expires_at=now + VIEWER_LASTS,
    )


async def owner_is_there(webhook: Webhook, *, now: datetime) -> bool:
    """Whether the owner's account still exists; staff who have left and clients that are disabled are gone."""
    if is_staff(owner_of(webhook, now=now)):
        return await StaffMember.exists(id=webhook.user_id, left_at__isnull=True)
    if await OAuthClient.exists(client_id=webhook.client_id, disabled_at__isnull=False):
        return False
    return await User.exists(id=webhook.user_id)
