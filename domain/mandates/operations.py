"""What a user does with a mandate: begin it, lower its caps, and revoke it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from tortoise.exceptions import IntegrityError

from domain.cards import queries as cards
from domain.identity import idempotency
from domain.identity.queries import lock_user
from domain.identity.viewer import Viewer
from domain.mandates import queries
from domain.mandates.policy import MandatePolicy
from domain.mandates.rules import LIVE, Caps, MandateNotActive, MandateTimeInvalid, Trigger, check_caps
from domain.mandates.transitions import advance, change, end_contract, lock
from domain.payments.contracts import ContractRequest, Contracts, SigningParameters
from domain.payments.operations import PaymentRefused, PaymentUnavailable
from domain.payments.ports import ChannelRefused, ChannelUnavailable
from domain.risk import rules as risk
from domain.step_up import operations as step_up
from domain.step_up.rules import Content
from domain.work.operations import Kind, schedule
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.sealing import Sealer
from kernel.states import MandateState
from models.cards import FuelCard
from models.database import transactional
from models.identity import User
from models.mandates import Mandate, MandateCard
from models.orders import RechargeOrder

CREATE = "createMandate"
# A device that may only spend under a mandate must not be able to make one.
SCOPE = "recharge"
CODE_DIGITS = 30
DISPLAY_ACCOUNT = "油卡免密充值"


class MandateScopeMissing(YoukaError):
    code = "MANDATE_SCOPE_MISSING"
    messages = {"zh-CN": "此设备无权管理免密支付，请使用小程序", "en": "Mandates are made in the mini-program alone"}


class MandatesNotOffered(YoukaError):
    code = "MANDATES_NOT_OFFERED"
    messages = {"zh-CN": "当前不支持免密支付", "en": "Mandates are not offered here"}


class MandateCardsInvalid(YoukaError):
    """Also where a card is somebody else's: the answer must not tell the two apart."""

    code = "MANDATE_CARDS_INVALID"
    messages = {"zh-CN": "请选择本人绑定的油卡", "en": "Name cards of your own, at least one"}


class MandateExists(YoukaError):
    code = "MANDATE_EXISTS"
    messages = {"zh-CN": "已有生效的免密支付授权，请先解约", "en": "A mandate is in force already, revoke it first"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user wants to allow. `expires_at` None is the longest time that there is; `grant` is of a step-up."""

    key: str
    transaction_max: Decimal
    daily_max: Decimal
    card_ids: Sequence[UUID | None]
    expires_at: datetime | None = None
    grant: str | None = None

    @property
    def caps(self) -> Caps:
        return Caps(risk.amount_of(self.transaction_max).fen, risk.amount_of(self.daily_max).fen)

    @property
    def content(self) -> Content:
        """What the user proves a second time that they want."""
        return Content.of_mandate(
            transaction_fen=self.caps.transaction_fen,
            daily_fen=self.caps.daily_fen,
            card_ids=[card_id for card_id in self.card_ids if card_id],
            expires_at=self.expires_at,
        )

    @property
    def input_hash(self) -> str:
        until = self.expires_at.isoformat() if self.expires_at else ""
        named = sorted({str(card_id) for card_id in self.card_ids})
        return idempotency.hash_of(str(self.caps.transaction_fen), str(self.caps.daily_fen), until, *named)


@dataclass(frozen=True, slots=True)
class Begun:
    """The mandate, and where the user signs it; nothing where that is over."""

    mandate: Mandate
    signing: SigningParameters | None


@dataclass(frozen=True, slots=True)
class Revoked:
    """The mandate, and the orders whose deductions the channel had been asked for before."""

    mandate: Mandate
    under_way: list[RechargeOrder]


async def create(
    *,
    viewer: Viewer,
    wanted: Wanted,
    contracts: Contracts | None,
    sealer: Sealer,
    policy: MandatePolicy,
    now: datetime,
) -> Begun:
    """Begin a mandate that the user signs at the channel, or go on with the one that the same key began.

    One that was begun before and not signed gives way. The row is committed before the channel hears of it, and uses up
    the grant of a step-up for just this. Raises StepUpNeeded, StepUpGrantInvalid, IdempotencyKeyInvalid,
    IdempotencyConflict, MandateScopeMissing, MandatesNotOffered, MandateCapInvalid, MandateTimeInvalid,
    MandateCardsInvalid, MandateExists, PaymentRefused, PaymentUnavailable, and the errors of `risk.amount_of`.
    """
    idempotency.check_key(wanted.key)
    require_scope(viewer)
    if contracts is None:
        raise MandatesNotOffered
    check_caps(wanted.caps, Caps(policy.transaction_max_fen, policy.daily_max_fen))
    latest = now + policy.lifetime_max
    expires_at = wanted.expires_at or latest
    if not now < expires_at <= latest:
        raise MandateTimeInvalid(days=policy.lifetime_max.days)
    named = await _named_cards(viewer, wanted.card_ids)
    try:
        mandate = await _create(viewer, wanted, named, contracts, sealer, policy, expires_at, now)
    except IntegrityError:
        # The same key won the race in another request.
        mandate = await _create(viewer, wanted, named, contracts, sealer, policy, expires_at, now)
    if mandate.state is not MandateState.PENDING or now >= mandate.signing_until:
        return Begun(mandate, None)
    return Begun(mandate, await _signing(mandate, contracts))


def require_scope(viewer: Viewer) -> None:
    """Raises MandateScopeMissing."""
    if SCOPE not in viewer.scopes:
        raise MandateScopeMissing


async def _named_cards(viewer: Viewer, card_ids: Sequence[UUID | None]) -> list[FuelCard]:
    found = [await cards.usable(viewer=viewer, card_id=each) if each else None for each in dict.fromkeys(card_ids)]
    owned = [card for card in found if card]
    if not owned or len(owned) != len(found):
        raise MandateCardsInvalid
    return owned


@transactional
async def _create(
    viewer: Viewer,
    wanted: Wanted,
    named: list[FuelCard],
    contracts: Contracts,
    sealer: Sealer,
    policy: MandatePolicy,
    expires_at: datetime,
    now: datetime,
) -> Mandate:
    await lock_user(viewer=viewer)
    repeated = await idempotency.made_before(
        viewer=viewer, operation=CREATE, key=wanted.key, input_hash=wanted.input_hash
    )
    if repeated:
        return await Mandate.get(id=repeated, user_id=viewer.user_id)
    for card in named:
        # One may have been unbound since it was looked at, under the lock that is held here.
        await cards.required(viewer=viewer, card_id=card.id)
    await step_up.spend(viewer=viewer, content=wanted.content, grant=wanted.grant, sealer=sealer, now=now)
    await _make_room(viewer, now)
    mandate_id = new_id()
    mandate = await Mandate.create(
        id=mandate_id,
        user_id=viewer.user_id,
        channel=contracts.name,
        sub_mchid=contracts.sub_mchid,
        out_contract_code=f"M{mandate_id.hex[:CODE_DIGITS]}",
        state=MandateState.PENDING,
        version=1,
        transaction_max_fen=wanted.caps.transaction_fen,
        daily_max_fen=wanted.caps.daily_fen,
        signing_until=now + policy.sign_within,
        expires_at=expires_at,
        created_at=now,
    )
    for card in named:
        await MandateCard.create(id=new_id(), mandate_id=mandate.id, card_id=card.id, user_id=viewer.user_id)
    await idempotency.remember(
        viewer=viewer, operation=CREATE, key=wanted.key, input_hash=wanted.input_hash, result_id=mandate.id, now=now
    )
    await schedule(
        kind=Kind.WATCH_MANDATE,
        key=str(mandate.id),
        payload={"mandate_id": str(mandate.id)},
        due_at=now + policy.query_after,
        now=now,
    )
    return mandate


async def _make_room(viewer: Viewer, now: datetime) -> None:
    """Let what was begun and never signed give way. Raises MandateExists for what is in force."""
    for row in await Mandate.filter(user_id=viewer.user_id, state__in=LIVE).only("id"):
        old = await lock(row.id)
        if old.state is MandateState.ACTIVE and now < old.expires_at:
            raise MandateExists
        if await advance(old, Trigger.END if old.state is MandateState.ACTIVE else Trigger.LAPSE, now=now):
            await end_contract(old, now=now)


async def _signing(mandate: Mandate, contracts: Contracts) -> SigningParameters:
    user = await User.get(id=mandate.user_id)
    request = ContractRequest(mandate.out_contract_code, user.openid, DISPLAY_ACCOUNT)
    try:
        return await contracts.start(request)
    except ChannelUnavailable as error:
        raise PaymentUnavailable from error
    except ChannelRefused as error:
        raise PaymentRefused from error


async def lower_caps(
    *, viewer: Viewer, mandate_id: UUID | None, transaction_max: Decimal, daily_max: Decimal, now: datetime
) -> Mandate:
    """Lower the caps of a mandate, from the next deduction on; higher ones take a new signature.

    Raises MandateScopeMissing, MandateNotFound, MandateNotActive, MandateCapInvalid with what holds now, and the errors
    of `risk.amount_of`.
    """
    require_scope(viewer)
    caps = Caps(risk.amount_of(transaction_max).fen, risk.amount_of(daily_max).fen)
    mandate = await queries.require_owned(viewer=viewer, mandate_id=mandate_id)
    return await _lower_caps(mandate.id, caps, now)


@transactional
async def _lower_caps(mandate_id: UUID, caps: Caps, now: datetime) -> Mandate:
    mandate = await lock(mandate_id)
    if mandate.state not in LIVE or now >= mandate.expires_at:
        raise MandateNotActive
    check_caps(caps, Caps(mandate.transaction_max_fen, mandate.daily_max_fen))
    await change(mandate, transaction_max_fen=caps.transaction_fen, daily_max_fen=caps.daily_fen)
    return mandate


@transactional
async def revoke(*, viewer: Viewer, mandate_id: UUID | None, now: datetime) -> Revoked:
    """End a mandate at once; doing it again returns it. Its contract is ended at the channel by work of its own.

    Whoever asks for a deduction does so in a transaction that finds the mandate in force under this lock, so none is
    begun behind this commit; what was begun before is named. Any token of the owner will do: stopping is never refused.
    Raises MandateNotFound.
    """
    mandate = await queries.require_owned(viewer=viewer, mandate_id=mandate_id)
    mandate = await lock(mandate.id)
    if await advance(mandate, Trigger.REVOKE, now=now):
        await end_contract(mandate, now=now)
    return Revoked(mandate, await queries.under_way(mandate_id=mandate.id))


async def leave_out(*, viewer: Viewer, card_id: UUID, now: datetime) -> None:
    """Let no live mandate of the viewer pay for a card any more, in the transaction that unbinds it.

    A mandate that pays for no other card is revoked, since it would be good for nothing.
    """
    for row in await Mandate.filter(user_id=viewer.user_id, state__in=LIVE).only("id"):
        mandate = await lock(row.id)
        if not await MandateCard.filter(mandate_id=mandate.id, card_id=card_id).delete():
            continue
        others = await MandateCard.exists(mandate_id=mandate.id)
        if not others and await advance(mandate, Trigger.REVOKE, now=now):
            await end_contract(mandate, now=now)
