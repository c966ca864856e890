"""The ledger of consents: one accepted request is one message, and nothing spends it twice."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.identity.idempotency import check_key
from domain.identity.viewer import AccountGone, Viewer
from domain.messages.policy import Policy
from domain.messages.ports import Templates
from domain.stations.queries import zones_of
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.states import ConsentEnd, MessageState, MessageTemplate, Product
from models.database import transactional
from models.identity import User
from models.messages import MessageConsent, OutgoingMessage


class TemplateUnknown(YoukaError):
    code = "MESSAGE_TEMPLATE_UNKNOWN"
    messages = {"zh-CN": "没有该消息模板", "en": "There is no such message template"}


class PriceWatchMissing(YoukaError):
    """A message about a price needs to know which one."""

    code = "PRICE_WATCH_MISSING"
    messages = {
        "zh-CN": "调价提醒需指定油站和油品，且该油站须有所属价区",
        "en": "A price message needs a product and a station that lies in a price zone",
    }


class TooManyConsents(YoukaError):
    code = "TOO_MANY_CONSENTS"
    messages = {"zh-CN": "每个模板最多累计{maximum}次授权", "en": "At most {maximum} consents of a template are kept"}


@dataclass(frozen=True, slots=True)
class Watch:
    """Which price a consent to price changes is about."""

    station_id: UUID
    product: Product


@dataclass(frozen=True, slots=True)
class Standing:
    """How many messages of a template the user still accepts."""

    template: MessageTemplate
    left: int


def by_id(templates: Templates, ids: Collection[str]) -> list[MessageTemplate]:
    """Return the templates with these ids of the platform, each once. Raises TemplateUnknown."""
    known = {template_of.id: template for template, template_of in templates.items()}
    if not ids or not set(ids) <= known.keys():
        raise TemplateUnknown
    return sorted({known[each] for each in ids})


async def grant(
    *,
    viewer: Viewer,
    templates: Collection[MessageTemplate],
    watch: Watch | None,
    key: str,
    policy: Policy,
    now: datetime,
) -> list[Standing]:
    """Keep what the user has accepted just now: one message of each template. The same key again grants nothing more.

    Raises IdempotencyKeyInvalid, PriceWatchMissing, TooManyConsents or AccountGone.
    """
    check_key(key)
    zone_id = None
    if MessageTemplate.PRICE_CHANGE in templates:
        zone_id = (await zones_of([watch.station_id])).get(watch.station_id) if watch else None
        if zone_id is None:
            raise PriceWatchMissing
    return await _grant(viewer, templates, zone_id, watch.product if watch else None, key, policy, now)


@transactional
async def _grant(
    viewer: Viewer,
    templates: Collection[MessageTemplate],
    zone_id: UUID | None,
    product: Product | None,
    key: str,
    policy: Policy,
    now: datetime,
) -> list[Standing]:
    await lock(viewer.user_id)
    for template in sorted(templates):
        if await MessageConsent.exists(user_id=viewer.user_id, template=template, grant_key=key):
            continue
        if await _left(viewer.user_id, template) >= policy.consents_per_template_max:
            raise TooManyConsents(maximum=policy.consents_per_template_max)
        about_price = template is MessageTemplate.PRICE_CHANGE
        await MessageConsent.create(
            id=new_id(),
            user_id=viewer.user_id,
            template=template,
            zone_id=zone_id if about_price else None,
            product=product if about_price else None,
            grant_key=key,
            granted_at=now,
        )
    return await standings(user_id=viewer.user_id)


@transactional
async def withdraw(*, viewer: Viewer, templates: Collection[MessageTemplate], now: datetime) -> list[Standing]:
    """Take back every consent that is left, and what is written down but not being sent yet. Raises AccountGone."""
    await lock(viewer.user_id)
    wanted = list(templates)
    await MessageConsent.filter(user_id=viewer.user_id, template__in=wanted, ended_at__isnull=True).update(
        ended_at=now, end_reason=ConsentEnd.WITHDRAWN
    )
    await OutgoingMessage.filter(user_id=viewer.user_id, template__in=wanted, state=MessageState.PENDING).update(
        state=MessageState.WITHDRAWN, settled_at=now
    )
    return await standings(user_id=viewer.user_id)


async def standings(*, user_id: UUID) -> list[Standing]:
    """Return how many messages of each template are left, in the order of the templates."""
    return [Standing(template, await _left(user_id, template)) for template in MessageTemplate]


async def standings_of(user_ids: Sequence[UUID]) -> list[list[Standing]]:
    """Return the standings of each user."""
    return [await standings(user_id=user_id) for user_id in user_ids]


async def lock(user_id: UUID) -> None:
    """Let what happens to one user's consents happen one after another. Raises AccountGone."""
    if await User.select_for_update().filter(id=user_id).first() is None:
        raise AccountGone


async def take(
    *, user_id: UUID, template: MessageTemplate, about: tuple[UUID, Product] | None, granted_by: datetime, now: datetime
) -> UUID | None:
    """Spend the oldest consent that was granted by a moment, under the user's lock; None where there is none."""
    left = MessageConsent.filter(
        user_id=user_id, template=template, ended_at__isnull=True, granted_at__lte=granted_by
    ).order_by("granted_at", "id")
    if about is not None:
        left = left.filter(zone_id=about[0], product=about[1])
    consent = await left.first()
    if consent is None:
        return None
    spent = await MessageConsent.filter(id=consent.id, ended_at__isnull=True).update(
        ended_at=now, end_reason=ConsentEnd.SPENT
    )
    assert spent == 1, "a consent was spent beside its user's lock"
    return consent.id


async def give_back(*, consent_id: UUID, message_id: UUID) -> None:
    """Grant anew what a message spent that the platform turned down; once for each message."""
    spent = await MessageConsent.get(id=consent_id)
    again = MessageConsent(
        id=new_id(),
        user_id=spent.user_id,
        template=spent.template,
        zone_id=spent.zone_id,
        product=spent.product,
        grant_key=f"returned:{message_id}",
        granted_at=spent.granted_at,
    )
    await MessageConsent.bulk_create([again], ignore_conflicts=True)


async def who_accepts(*, template: MessageTemplate, user_ids: Collection[UUID]) -> set[UUID]:
    """Return which of the users have a consent left."""
    rows = MessageConsent.filter(user_id__in=list(user_ids), template=template, ended_at__isnull=True)
    return set(await rows.distinct().values_list("user_id", flat=True))  # type: ignore[arg-type]


async def who_watches(*, zone_id: UUID, product: Product, after: UUID | None, limit: int) -> Sequence[UUID]:
    """Return a page of the users who accept a message about this price, by their ids."""
    rows = MessageConsent.filter(
        template=MessageTemplate.PRICE_CHANGE, zone_id=zone_id, product=product, ended_at__isnull=True
    )
    if after is not None:
        rows = rows.filter(user_id__gt=after)
    return await rows.distinct().order_by("user_id").limit(limit).values_list("user_id", flat=True)  # type: ignore[return-value]


async def _left(user_id: UUID, template: MessageTemplate) -> int:
    return await MessageConsent.filter(user_id=user_id, template=template, ended_at__isnull=True).count()
