"""The words of enterprise customers, apart from the other states since those fill a file."""

from __future__ import annotations

from enum import StrEnum


class OrganisationState(StrEnum):
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"  # by whoever runs the service: it is seen, and nothing of it moves
    CLOSED = "CLOSED"


class OrganisationRole(StrEnum):
    OWNER = "OWNER"
    ADMIN = "ADMIN"
    ACCOUNTANT = "ACCOUNTANT"
    DRIVER = "DRIVER"


class OrganisationPermission(StrEnum):
    MANAGE_ORGANISATION = "MANAGE_ORGANISATION"
    MANAGE_MEMBERS = "MANAGE_MEMBERS"
    MANAGE_CARDS = "MANAGE_CARDS"
    SET_LIMITS = "SET_LIMITS"
    RECHARGE = "RECHARGE"
    SEE_MEMBERS = "SEE_MEMBERS"
    SEE_ALL_ORDERS = "SEE_ALL_ORDERS"
    SEE_OWN_ORDERS = "SEE_OWN_ORDERS"
    SEE_STATEMENT = "SEE_STATEMENT"
    SEE_LOG = "SEE_LOG"


class MemberState(StrEnum):
    """Whoever comes back is a new member; these rows are never taken up again."""

    ACTIVE = "ACTIVE"
    LEFT = "LEFT"
    REMOVED = "REMOVED"
    CLOSED = "CLOSED"  # with the organisation


class InvitationState(StrEnum):
    OPEN = "OPEN"
    ACCEPTED = "ACCEPTED"
    WITHDRAWN = "WITHDRAWN"


class LimitPeriod(StrEnum):
    """Which of a member's limits."""

    RECHARGE = "RECHARGE"
    DAY = "DAY"
    MONTH = "MONTH"


class OrganisationAction(StrEnum):
    """What the log of an organisation tells of."""

    CREATED = "CREATED"
    RENAMED = "RENAMED"
    SUSPENDED = "SUSPENDED"
    RESUMED = "RESUMED"
    CLOSED = "CLOSED"
    INVITED = "INVITED"
    INVITATION_WITHDRAWN = "INVITATION_WITHDRAWN"
    JOINED = "JOINED"
    LEFT = "LEFT"
    REMOVED = "REMOVED"
    ROLE_CHANGED = "ROLE_CHANGED"
    OWNERSHIP_TRANSFERRED = "OWNERSHIP_TRANSFERRED"
    LIMITS_SET = "LIMITS_SET"
    CARDS_SHARED = "CARDS_SHARED"
    CARD_ADDED = "CARD_ADDED"
    CARD_REMOVED = "CARD_REMOVED"
