"""Making an order: facts, rules and writing, at once where that is possible and else in the user's turn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from domain.account.rules import check_own_limits
from domain.cards import queries as cards
from domain.cards.facts import CardFacts
from domain.cards.queries import CardNotFound
from domain.identity import idempotency
from domain.identity.idempotency import IdempotencyConflict
from domain.identity.queries import lock_user
from domain.identity.viewer import Viewer
from domain.offers import operations as offers
from domain.orders import creation_facts, for_organisations, writing
from domain.orders.creation_facts import CreationFacts, Question, text_of
from domain.orders.policy import Policy
from domain.orders.transitions import CREATED_VERSION, CREATION, creation_of
from domain.orders.writing import NewOrder
from domain.risk import rules as risk
from domain.work.operations import PAYLOADS, Kind
from kernel.clock import start_of_business_day
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.money import Money
from kernel.states import RefundState, ReviewReason, ReviewState
from models.database import transactional
from models.lean_transactions import NotWritten, row_of
from models.offers import Offer
from models.orders import RechargeOrder
from models.organisations import OrganisationMember

# What the work that ends an order is told; nobody looks at it again before it is written.
assert PAYLOADS[Kind.EXPIRE_ORDER] == {"order_id": UUID}


class PriceChanged(YoukaError):
    code = "PRICE_CHANGED"
    messages = {"zh-CN": "价格已变为{price.text}，请确认后重试", "en": "The price is {price.text} now, please confirm"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to order. `operation` and `key` let it happen once.

    `yuan` is what arrives and may be left out with an offer. `quoted` is the price that the user was shown, where it
    was shown some time ago.
    """

    operation: str
    key: str
    card_id: UUID | None
    yuan: Decimal | None = None
    names_offer: bool = False
    offer_id: UUID | None = None
    quoted: Money | None = None

    @property
    def input_hash(self) -> str:
        return self.hash_of(risk.amount_of(self.yuan) if self.yuan is not None else None)

    def hash_of(self, named: Money | None) -> str:
        """Return the hash of the input, whose amount was read already, where it names one."""
        parts = [str(self.card_id), str(named.fen) if named is not None else ""]
        return idempotency.hash_of(*parts, *([str(self.offer_id)] if self.names_offer else []))


class Making(NamedTuple):
    """An order that is to be made: what is wanted and by whom, the offer if there is one, and what arrives."""

    viewer: Viewer
    wanted: Wanted
    offer: Offer | None
    amount: Money
    policy: Policy
    now: datetime

    @property
    def price(self) -> Money:
        return Money(self.offer.price_fen) if self.offer else self.amount

    @property
    def input_hash(self) -> str:
        # What arrives is what was named, where anything was.
        return self.wanted.hash_of(self.amount if self.wanted.yuan is not None else None)


class Created(NamedTuple):
    """An order, and its card as it was a moment before, where that was looked at."""

    order: RechargeOrder
    card: CardFacts | None = None


# An order that was made, or the id of the one that the same key has made before.
Made = Created | UUID


async def at_once(making: Making) -> Made | None:
    """Make an order for a card of the viewer's own without the user's lock; None where that takes the lock after all.

    That is where somebody else takes the user's turn, or an organisation has a say. Raises what `in_turn` raises.
    """
    joins = making.policy.joins_loads
    question = _question(making)
    found = await (creation_facts.together.load(question) if joins else creation_facts.alone(question))
    known = _known(making, found)
    if known:
        return known
    card = found.card
    if card and card.organisation_id is not None:
        return None
    if card is None or card.user_id != making.viewer.user_id:
        raise CardNotFound
    order = _order(making, _review_reason(making, found), None)
    try:
        new = _new(making, order, found.turn)
        written = await (writing.together.load(new) if joins else writing.alone(new))
    except NotWritten:
        return None
    return Created(order, card.facts) if written else None


@transactional
async def in_turn(making: Making) -> Made:
    """Make an order while the user is locked.

    Raises IdempotencyConflict, CardNotFound, PriceChanged, OwnLimitExceeded, MemberLimitExceeded, the errors of
    `domain.risk.rules` and `domain.offers`, and IntegrityError where somebody else uses the key meanwhile.
    """
    viewer, offer, now = making.viewer, making.offer, making.now
    await lock_user(viewer=viewer)
    (found,) = await creation_facts.read([_question(making)])
    known = _known(making, found)
    if known:
        return known
    card = await cards.required(viewer=viewer, card_id=making.wanted.card_id)
    reason = _review_reason(making, found)
    member = await for_organisations.claim(viewer=viewer, card=card, amount=making.amount, now=now)
    order = _order(making, reason, member)
    if offer:
        await offers.reserve(offer=offer, order_id=order.id, user_id=viewer.user_id, brand=card.brand, now=now)
    written = await writing.write(_new(making, order, found.turn))
    assert written, "the user is locked"
    return Created(order)


def _question(making: Making) -> Question:
    viewer, wanted, now = making.viewer, making.wanted, making.now
    since = now - making.policy.limits.split_window
    return Question(viewer.user_id, wanted.card_id, wanted.operation, wanted.key, start_of_business_day(now), since)


def _known(making: Making, found: CreationFacts) -> UUID | None:
    if found.known is None:
        return None
    if found.known.input_hash != making.input_hash:
        raise IdempotencyConflict
    return found.known.result_id


def _review_reason(making: Making, found: CreationFacts) -> ReviewReason | None:
    """Have the rules look at the facts, and return why a person must look at the order, if one must."""
    amount, limits = making.amount, making.policy.limits
    if making.wanted.quoted is not None and making.wanted.quoted != making.price:
        raise PriceChanged(price=making.price)
    risk.check_facts(amount, found.risk, limits)
    # The limits are changed, and cards unbound, in a turn of the same user.
    check_own_limits(amount, spent_today_fen=found.risk.spent_today_fen, own=found.own)
    return risk.review_reason(amount, found.risk, limits)


def _order(making: Making, reason: ReviewReason | None, member: OrganisationMember | None) -> RechargeOrder:
    values = {
        "id": new_id(),
        "user_id": making.viewer.user_id,
        "card_id": making.wanted.card_id,
        "offer_id": making.offer.id if making.offer else None,
        "organisation_id": member.organisation_id if member else None,
        "member_id": member.id if member else None,
        "amount_fen": making.amount.fen,
        "price_fen": making.price.fen,
        "state": CREATION.target,
        "version": CREATED_VERSION,
        "failure_kind": None,
        "refund_state": RefundState.NONE,
        "review_state": ReviewState.REQUIRED if reason else ReviewState.NONE,
        "review_reason": reason,
        "pay_deadline_at": making.now + making.policy.pay_within,
        "created_at": making.now,
        "updated_at": making.now,
    }
    return row_of(RechargeOrder, values)


def _new(making: Making, order: RechargeOrder, turn: str) -> NewOrder:
    order_id, wanted = str(order.id), making.wanted
    values = {
        "turn": turn,
        "id": order_id,
        "user_id": order.user_id,
        "card_id": order.card_id,
        "offer_id": order.offer_id,
        "organisation_id": order.organisation_id,
        "member_id": order.member_id,
        "amount_fen": order.amount_fen,
        "price_fen": order.price_fen,
        "review_state": order.review_state,
        "review_reason": order.review_reason,
        "pay_deadline_at": text_of(order.pay_deadline_at),
        "made_at": text_of(order.created_at),
        "operation": wanted.operation,
        "key": wanted.key,
        "input_hash": making.input_hash,
        "job": {"order_id": order_id},
        **creation_of(order, order_id, actor=making.viewer.actor),
    }
    return NewOrder(order.id, order.user_id, values)
