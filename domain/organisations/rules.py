"""Who may do what in an organisation, what a member may recharge, and how an enterprise is named; no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kernel.clock import next_business_day, next_business_month
from kernel.errors import YoukaError
from kernel.money import Money
from kernel.organisation_states import LimitPeriod, OrganisationRole, OrganisationState
from kernel.organisation_states import OrganisationPermission as Permission

NAME_LENGTH_MAX = 64
# Ten million yuan; more than any account can recharge.
LIMIT_MAX_FEN = 1_000_000_000

# The characters of GB 32100-2015, each with the value of its place; I, O, S, V and Z are none of them.
CODE_CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
CODE_LENGTH = 18
CODE_TEXT_LENGTH_MAX = 64
CODE_SEPARATORS = re.compile(r"[\s\-]+")
CODE_PATTERN = re.compile(rf"[{CODE_CHARACTERS}]{{2}}[0-9]{{6}}[{CODE_CHARACTERS}]{{10}}", re.ASCII)
MODULUS = len(CODE_CHARACTERS)
WEIGHT_BASE = 3

# The one table of rights. The guide and the tests are made from it.
PERMISSIONS: Mapping[OrganisationRole, frozenset[Permission]] = {
    OrganisationRole.OWNER: frozenset(Permission),
    OrganisationRole.ADMIN: frozenset(Permission) - {Permission.MANAGE_ORGANISATION},
    OrganisationRole.ACCOUNTANT: frozenset(
        {
            Permission.SEE_MEMBERS,
            Permission.SEE_ALL_ORDERS,
            Permission.SEE_OWN_ORDERS,
            Permission.SEE_STATEMENT,
            Permission.SEE_LOG,
        }
    ),
    OrganisationRole.DRIVER: frozenset({Permission.RECHARGE, Permission.SEE_OWN_ORDERS}),
}


class CreditCodeInvalid(YoukaError):
    code = "CREDIT_CODE_INVALID"
    messages = {
        "zh-CN": "统一社会信用代码有误：须为18位，且校验位正确",
        "en": "The unified social credit code must have 18 characters, the last of which checks the others",
    }


class OrganisationNameInvalid(YoukaError):
    code = "ORGANISATION_NAME_INVALID"
    messages = {
        "zh-CN": "名称须为1至{maximum}个可见字符",
        "en": "The name must have 1 to {maximum} visible characters",
    }


class MemberLimitInvalid(YoukaError):
    code = "MEMBER_LIMIT_INVALID"
    messages = {
        "zh-CN": "限额须大于零且不超过{maximum.text}",
        "en": "A limit must be more than zero and {maximum.text} at most",
    }


class MemberLimitExceeded(YoukaError):
    """`limit` is what the member may recharge in the period, `left` what of it is left.

    `renews_at` is when there is all of it again, None for the limit of each recharge.
    """

    code = "MEMBER_LIMIT_EXCEEDED"
    messages = {
        "zh-CN": "超出企业为您设置的充值限额{limit.text}，目前还可充值{left.text}",
        "en": "Over the limit of {limit.text} that the organisation has set you, {left.text} can be recharged now",
    }


def may(role: OrganisationRole, permission: Permission) -> bool:
    return permission in PERMISSIONS[role]


def reaches(role: OrganisationRole, other: OrganisationRole) -> bool:
    """Say whether somebody may give a role to others, or act on who has it: nobody gives what they do not have."""
    return PERMISSIONS[role] >= PERMISSIONS[other]


@dataclass(frozen=True, slots=True)
class MemberLimits:
    """What a member may recharge, in fen: each time, in a day and in a month of Asia/Shanghai. None is no limit."""

    recharge_fen: int | None = None
    daily_fen: int | None = None
    monthly_fen: int | None = None


NO_LIMITS = MemberLimits()


@dataclass(frozen=True, slots=True)
class Spent:
    """What a member has recharged, in fen, with what is under way and without what has failed."""

    today_fen: int = 0
    month_fen: int = 0


@dataclass(frozen=True, slots=True)
class Room:
    """What one limit leaves, and when there is all of it again."""

    period: LimitPeriod
    limit: Money
    left: Money
    renews_at: datetime | None


def check_limits(limits: MemberLimits) -> None:
    """Raises MemberLimitInvalid."""
    for fen in (limits.recharge_fen, limits.daily_fen, limits.monthly_fen):
        if fen is not None and not 0 < fen <= LIMIT_MAX_FEN:
            raise MemberLimitInvalid(maximum=Money(LIMIT_MAX_FEN))


def rooms(limits: MemberLimits, spent: Spent, now: datetime) -> list[Room]:
    """Return what each limit leaves, in the order in which they are checked."""
    found = (
        (LimitPeriod.RECHARGE, limits.recharge_fen, 0, None),
        (LimitPeriod.DAY, limits.daily_fen, spent.today_fen, next_business_day(now)),
        (LimitPeriod.MONTH, limits.monthly_fen, spent.month_fen, next_business_month(now)),
    )
    return [
        Room(period, Money(fen), Money(max(0, fen - used_fen)), renews_at)
        for period, fen, used_fen, renews_at in found
        if fen is not None
    ]


def check_recharge(amount: Money, limits: MemberLimits, spent: Spent, now: datetime) -> None:
    """Raises MemberLimitExceeded of the first limit that the amount does not fit into."""
    for room in rooms(limits, spent, now):
        if amount > room.left:
            raise MemberLimitExceeded(limit=room.limit, left=room.left, renews_at=room.renews_at, period=room.period)


def read_credit_code(text: str) -> str:
    """Read a code as people type it, in either case and with spaces or hyphens. Raises CreditCodeInvalid."""
    if len(text) <= CODE_TEXT_LENGTH_MAX:
        code = CODE_SEPARATORS.sub("", text).upper()
        if CODE_PATTERN.fullmatch(code) and code[-1] == check_character(code[:-1]):
            return code
    raise CreditCodeInvalid


def check_character(body: str) -> str:
    """Return the last character of a code, after the 17 before it (GB 32100-2015, annex A)."""
    assert len(body) == CODE_LENGTH - 1
    values = (CODE_CHARACTERS.index(character) for character in body)
    total = sum(value * pow(WEIGHT_BASE, place, MODULUS) for place, value in enumerate(values))
    return CODE_CHARACTERS[-total % MODULUS]


def read_name(text: str) -> str:
    """Raises OrganisationNameInvalid."""
    name = text.strip()
    if not 0 < len(name) <= NAME_LENGTH_MAX or not name.isprintable():
        raise OrganisationNameInvalid(maximum=NAME_LENGTH_MAX)
    return name


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides about a member: their role, whether the organisation is in force, and what is shared with them."""

    role: OrganisationRole
    state: OrganisationState
    all_cards: bool

    def may(self, permission: Permission) -> bool:
        return may(self.role, permission)

    @property
    def recharges(self) -> bool:
        return self.state is OrganisationState.ACTIVE and self.may(Permission.RECHARGE)

    @property
    def sees_every_card(self) -> bool:
        """Whoever looks after cards or sees all orders sees the cards as well, without being able to recharge them."""
        return self.may(Permission.MANAGE_CARDS) or self.may(Permission.SEE_ALL_ORDERS)
