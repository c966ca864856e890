"""Commands of whoever runs the service: staff and their tokens, offers, and an order's whole story."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain.access import sessions
from domain.actions.recording import columns_of
from domain.identity import staff
from domain.identity.tokens import authority
from domain.ledger.error_entries import DETAIL_LENGTH_MAX, errors_of
from domain.offers import operations as offers
from domain.orders import queries as orders
from domain.orders.policy import Policy
from domain.orders.transitions import REASON_LENGTH_MAX
from domain.risk import rules as risk
from jobs.access import opened_tokens
from jobs.acting import on_look, on_record
from jobs.commands import on_database
from jobs.printing import printable
from kernel.clock import utc_now
from kernel.errors import YoukaError
from kernel.keys import KeyMissing
from kernel.money import Money
from kernel.settings import get_settings
from kernel.states import CardBrand, SessionEnd, StaffRole

DONE, REFUSED = 0, 2

NAME_LENGTH_MAX = 64
CODE_LENGTH_MAX = 32
TITLE_LENGTH_MAX = 64
PLAIN_YUAN = re.compile(r"\d{1,12}(\.\d{1,2})?", re.ASCII)
PLAIN_COUNT = re.compile(r"\d{1,10}", re.ASCII)
COUNT_MAX = 2**31 - 1


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the commands; each sets `run`, which returns 0, or 2 where it refuses and says why."""
    command = subparsers.add_parser("add-staff", help="let somebody who works here decide about orders")
    command.add_argument("name", type=_text(NAME_LENGTH_MAX))
    command.add_argument("--role", action="append", required=True, type=StaffRole, choices=list(StaffRole))
    command.add_argument("--customer", type=UUID, metavar="USER", help="the account that they recharge with")
    command.set_defaults(run=lambda given: _run(lambda: add_staff(given.name, frozenset(given.role), given.customer)))

    command = subparsers.add_parser("remove-staff", help="note that somebody has left")
    command.add_argument("name")
    command.set_defaults(run=lambda given: _run(lambda: remove_staff(given.name)))

    command = subparsers.add_parser("staff-token", help="print an access token of somebody who works here")
    command.add_argument("name")
    command.set_defaults(run=lambda given: _run(lambda: staff_token(given.name)))

    command = subparsers.add_parser("add-offer", help="offer a recharge at a price of its own")
    command.add_argument("code", type=_text(CODE_LENGTH_MAX), help="a name that no other offer has")
    command.add_argument("--title", required=True, type=_text(TITLE_LENGTH_MAX), help="for people")
    command.add_argument("--amount", required=True, type=_yuan, metavar="YUAN", help="what arrives on the card")
    command.add_argument("--price", required=True, type=_yuan, metavar="YUAN", help="what is paid for it")
    command.add_argument("--stock", required=True, type=_count, help="how many there are")
    command.add_argument("--per-user", default=1, type=_count, help="how many one user can take (1)")
    command.add_argument("--brand", type=CardBrand, choices=list(CardBrand), help="only for cards of this brand")
    command.add_argument("--starts", required=True, type=_moment, metavar="TIME", help="RFC 3339, with an offset")
    command.add_argument("--ends", required=True, type=_moment, metavar="TIME", help="RFC 3339, with an offset")
    command.set_defaults(run=lambda given: _run(lambda: add_offer(given)))

    command = subparsers.add_parser("story", help="print every step of an order, and what went wrong with its money")
    command.add_argument("order", type=UUID)
    command.set_defaults(run=lambda given: _run(lambda: tell_story(given.order)))


async def add_staff(name: str, roles: frozenset[StaffRole], customer_id: UUID | None) -> int:
    member = await on_record(
        lambda: staff.add(name=name, roles=roles, customer_id=customer_id, now=utc_now()),
        *("add-staff", "Staff", name),
        after=columns_of,
    )
    print(f"{member.name} works here now: {member.id}")
    return DONE


async def remove_staff(name: str) -> int:
    tokens, member = authority(get_settings()), await staff.by_name(name)
    if member is None:
        return _refuse(f"nobody of the name {name} works here")
    left = await on_record(
        lambda: staff.leave(name=name, now=utc_now()),
        *("remove-staff", "Staff", name),
        before=columns_of(member),
        after=lambda left: {"left": left},
    )
    if not left:
        return _refuse(f"nobody of the name {name} works here")
    await sessions.end_those(reason=SessionEnd.OWNER_GONE, tokens=tokens, now=utc_now(), owner_id=member.id)
    print(f"{name} has left")
    return DONE


async def staff_token(name: str) -> int:
    member = await staff.by_name(name)
    if member is None:
        return _refuse(f"nobody of the name {name} works here")
    scopes = frozenset({staff.STAFF_SCOPE})
    tokens = await opened_tokens()
    await on_look("staff-token", "Staff", name, staff_id=member.id)
    print(tokens.issue(user_id=member.id, client_id=staff.STAFF_CLIENT_ID, scopes=scopes, now=utc_now()))
    return DONE


async def add_offer(given: argparse.Namespace) -> int:
    risk.check_amount(given.amount, Policy.of(get_settings()).limits)
    if given.price > given.amount:
        return _refuse("the price is more than what arrives")
    if given.ends <= given.starts:
        return _refuse("the offer ends before it starts")
    offer = await on_record(
        lambda: offers.create(
            code=given.code,
            title=given.title,
            brand=given.brand,
            amount_fen=given.amount.fen,
            price_fen=given.price.fen,
            stock=given.stock,
            per_user_max=given.per_user,
            starts_at=given.starts,
            ends_at=given.ends,
            now=utc_now(),
        ),
        *("add-offer", "Offer", given.code),
        after=columns_of,
    )
    print(f"{offer.code}: {offer.stock_left} times {given.amount.text} for {given.price.text}")
    return DONE


async def tell_story(order_id: UUID) -> int:
    steps = await orders.story(order_id)
    if not steps:
        return _refuse("there is no such order")
    await on_look("story", "Order", order_id, steps=len(steps))
    for step in steps:
        way = f"{step.from_state or '-'} -> {step.to_state}"
        when = step.occurred_at.isoformat(timespec="milliseconds")
        why = printable(step.reason, length_max=REASON_LENGTH_MAX)
        print(f"{when}  row {step.rule:>2}  {step.trigger:<20} {way:<30} {step.actor}  {why}  {step.request_id}")
    for entry in await errors_of(order_id):
        when = entry.occurred_at.isoformat(timespec="milliseconds")
        why = printable(entry.detail, length_max=DETAIL_LENGTH_MAX)
        print(f"{when}  error   {entry.kind:<20} {Money(entry.amount_fen).text}  {why}")
    return DONE


def _refuse(reason: str) -> int:
    print(f"youka: {reason}", file=sys.stderr)
    return REFUSED


def _text(length_max: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not text.strip() or len(text) > length_max or not text.isprintable():
            raise argparse.ArgumentTypeError(f"{text!r} is not a text of 1 to {length_max} characters")
        return text

    return read


def _yuan(text: str) -> Money:
    if not PLAIN_YUAN.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount of yuan, such as 500.00")
    amount = Money.from_yuan(Decimal(text))
    if amount.fen <= 0:
        raise argparse.ArgumentTypeError("the amount must be more than zero")
    return amount


def _count(text: str) -> int:
    if not PLAIN_COUNT.fullmatch(text) or not 0 < int(text) <= COUNT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {COUNT_MAX}")
    return int(text)


def _moment(text: str) -> datetime:
    problem = argparse.ArgumentTypeError(f"{text!r} is not a time with an offset, such as 2026-05-01T00:00:00+08:00")
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise problem
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise problem from None


def _run(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    try:
        return on_database(work)
    except (YoukaError, KeyMissing) as error:
        return _refuse(error.message("en") if isinstance(error, YoukaError) else str(error))
