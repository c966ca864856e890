"""Finding orders for staff: by what a customer, a channel or an issuer names. Each look is written down.

Every way leads over an index, and no way returns more than a page; nothing is searched that would be read whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from domain.actions.recording import Subject, looked
from domain.identity.staff import Staff
from kernel.errors import YoukaError
from kernel.ids import read_number
from kernel.states import OrderState, StaffRole
from models.cards import FuelCard
from models.identity import User
from models.messages import UserPhone
from models.orders import RechargeAttempt, RechargeOrder
from models.payments import PaymentAttempt

TAIL = re.compile(r"[0-9]{4}", re.ASCII)
TEXT_LENGTH_MAX = 64
# So many cards or phones may end alike; where there are more, another word has to narrow it.
SAME_TAILS_MAX = 500
# Who talks with customers has to know how to address them.
KNOWS_NAMES = frozenset({StaffRole.SUPPORT, StaffRole.RISK})
ACTION = "searchOrders"

Row = TypeVar("Row")


class SearchInvalid(YoukaError):
    """Nothing is asked for, or a tail is not four digits, or times are the wrong way round."""

    code = "SEARCH_INVALID"
    messages = {
        "zh-CN": "请至少填写一个有效的查询条件：尾号为4位数字，其他不超过{maximum}个字符",
        "en": "Ask for something: a tail has 4 digits, other words have {maximum} characters at most",
    }


class SearchTooBroad(YoukaError):
    code = "SEARCH_TOO_BROAD"
    messages = {
        "zh-CN": "符合该尾号的记录超过{maximum}条，请增加其他条件",
        "en": "More than {maximum} end so; add another word",
    }


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to search by, all of it together; None stands for anything. Times are of the creation, `[since, until)`."""

    number: str | None = None
    user_id: str | None = None
    card_tail: str | None = None
    phone_tail: str | None = None
    transaction_id: str | None = None
    out_trade_no: str | None = None
    issuer_order_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    state: OrderState | None = None

    def given(self) -> dict[str, Any]:
        """Return the words that are not left out."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name)) is not None}


@dataclass(frozen=True, slots=True)
class Found:
    """One order with what belongs to it. The name is masked where the role does not need it, the phone always is."""

    order: RechargeOrder
    card: FuelCard
    customer_name: str
    phone: str | None
    payments: Sequence[PaymentAttempt]
    recharges: Sequence[RechargeAttempt]

    @property
    def id(self) -> UUID:
        return self.order.id


async def search(
    *, staff: Staff, wanted: Wanted, first: int, after: tuple[datetime, UUID] | None, now: datetime
) -> list[Found]:
    """Return up to `first` orders, newest first, behind the one that was created at a time with an id.

    Raises SearchInvalid or SearchTooBroad. The look is written down before anything is returned.
    """
    _check(wanted)
    rows = await _narrowed(wanted)
    orders = await _page(rows, wanted, first, after) if rows is not None else []
    seen = {**wanted.given(), "found": len(orders), "orders": [order.id for order in orders]}
    await looked(who=staff, action=ACTION, subject=Subject("Search", "orders"), seen=seen, now=now)
    return await _told(orders, whole_names=not KNOWS_NAMES.isdisjoint(staff.roles))


def _check(wanted: Wanted) -> None:
    given = wanted.given()
    texts = [value for value in given.values() if isinstance(value, str)]
    tails = [tail for tail in (wanted.card_tail, wanted.phone_tail) if tail is not None]
    backwards = wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until
    whole = all(0 < len(text) <= TEXT_LENGTH_MAX and "\0" not in text for text in texts)
    if not given or backwards or not whole or not all(TAIL.fullmatch(tail) for tail in tails):
        raise SearchInvalid(maximum=TEXT_LENGTH_MAX)


async def _narrowed(wanted: Wanted) -> QuerySet[RechargeOrder] | None:
    """Return the orders that the words name, None where one of them names nothing."""
    rows = RechargeOrder.all()
    for name, find in FINDERS.items():
        word = getattr(wanted, name)
        if word is None:
            continue
        condition = await find(word)
        if condition is None:
            return None
        rows = rows.filter(condition)
    return rows


async def _page(
    rows: QuerySet[RechargeOrder], wanted: Wanted, first: int, after: tuple[datetime, UUID] | None
) -> list[RechargeOrder]:
    if wanted.state is not None:
        rows = rows.filter(state=wanted.state)
    if wanted.since is not None:
        rows = rows.filter(created_at__gte=wanted.since)
    if wanted.until is not None:
        rows = rows.filter(created_at__lt=wanted.until)
    if after is not None:
        moment, order_id = after
        # The first condition is what an index is read by.
        rows = rows.filter(created_at__lte=moment).filter(
            Q(created_at__lt=moment) | Q(created_at=moment, id__lt=order_id)
        )
    return await rows.order_by("-created_at", "-id").limit(first)


async def _by_number(word: str) -> Q | None:
    order_id = read_number(word)
    return Q(id=order_id) if order_id else None


async def _by_user(word: str) -> Q | None:
    user_id = _uuid(word)
    return Q(user_id=user_id) if user_id else None


async def _by_card_tail(word: str) -> Q | None:
    cards = (
        await FuelCard.filter(number_tail=word).order_by("id").limit(SAME_TAILS_MAX + 1).values_list("id", flat=True)
    )
    return _among("card_id__in", cards)


async def _by_phone_tail(word: str) -> Q | None:
    phones = UserPhone.filter(phone_tail=word).order_by("user_id").limit(SAME_TAILS_MAX + 1)
    return _among("user_id__in", await phones.values_list("user_id", flat=True))


async def _by_transaction(word: str) -> Q | None:
    return _among("id__in", await PaymentAttempt.filter(transaction_id=word).values_list("order_id", flat=True))


async def _by_trade(word: str) -> Q | None:
    return _among("id__in", await PaymentAttempt.filter(out_trade_no=word).values_list("order_id", flat=True))


async def _by_issuer_order(word: str) -> Q | None:
    attempts = RechargeAttempt.filter(issuer_order_id=word).limit(SAME_TAILS_MAX + 1)
    return _among("id__in", await attempts.values_list("order_id", flat=True))


def _among(condition: str, ids: Sequence[Any]) -> Q | None:
    """Raises SearchTooBroad."""
    if len(ids) > SAME_TAILS_MAX:
        raise SearchTooBroad(maximum=SAME_TAILS_MAX)
    named: dict[str, Any] = {condition: list(ids)}
    return Q(**named) if ids else None


FINDERS: Mapping[str, Callable[[str], Any]] = {
    "number": _by_number,
    "user_id": _by_user,
    "transaction_id": _by_transaction,
    "out_trade_no": _by_trade,
    "issuer_order_id": _by_issuer_order,
    "card_tail": _by_card_tail,
    "phone_tail": _by_phone_tail,
}


async def _told(orders: Sequence[RechargeOrder], *, whole_names: bool) -> list[Found]:
    ids, users = [order.id for order in orders], {order.user_id for order in orders}
    if not ids:
        return []
    cards = {row.id: row for row in await FuelCard.filter(id__in={order.card_id for order in orders})}
    names = {row.id: row.display_name for row in await User.filter(id__in=users)}
    phones = {row.user_id: row.phone_masked for row in await UserPhone.filter(user_id__in=users)}
    payments = _by_order(await PaymentAttempt.filter(order_id__in=ids).order_by("order_id", "number"))
    recharges = _by_order(await RechargeAttempt.filter(order_id__in=ids).order_by("order_id", "number"))
    return [
        Found(
            order=order,
            card=cards[order.card_id],
            customer_name=names[order.user_id] if whole_names else masked_name(names[order.user_id]),
            phone=phones.get(order.user_id),
            payments=payments.get(order.id, ()),
            recharges=recharges.get(order.id, ()),
        )
        for order in orders
    ]


def _by_order(rows: Sequence[Row]) -> dict[UUID, list[Row]]:
    found: dict[UUID, list[Row]] = {}
    for row in rows:
        found.setdefault(row.order_id, []).append(row)  # type: ignore[attr-defined]
    return found


def masked_name(name: str) -> str:
    """Return the first character and two stars, however long the name is."""
    return f"{name[:1]}**"


def _uuid(word: str) -> UUID | None:
    try:
        return UUID(word)
    except ValueError:
        return None
