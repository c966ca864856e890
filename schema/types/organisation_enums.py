"""The enums of enterprise customers, apart from the others since those fill a file."""

from __future__ import annotations

from kernel.organisation_states import (
    InvitationState,
    LimitPeriod,
    MemberState,
    OrganisationAction,
    OrganisationPermission,
    OrganisationRole,
    OrganisationState,
)
from schema.types.describing import described

__all__ = [
    "InvitationState",
    "LimitPeriod",
    "MemberState",
    "OrganisationAction",
    "OrganisationPermission",
    "OrganisationRole",
    "OrganisationState",
]

# The guide shows the same words.
PERMISSIONS = {
    "MANAGE_ORGANISATION": "Rename it, close it, transfer its ownership, and act on owners.",
    "MANAGE_MEMBERS": "Invite members, change their roles, and remove them.",
    "MANAGE_CARDS": "Add and remove cards, and share them with members.",
    "SET_LIMITS": "Set what members may recharge.",
    "RECHARGE": "Recharge the cards that are shared with oneself.",
    "SEE_MEMBERS": "See who belongs to it.",
    "SEE_ALL_ORDERS": "See and follow the orders of all members.",
    "SEE_OWN_ORDERS": "See and follow one's own orders.",
    "SEE_STATEMENT": "See what each member has recharged in a month.",
    "SEE_LOG": "See every change of the organisation.",
}

described(
    OrganisationState,
    "OrganisationState",
    "Where an organisation stands.",
    {
        "ACTIVE": "In force.",
        "SUSPENDED": "停用: whoever runs the service has stopped it. It can be seen, and nothing of it moves.",
        "CLOSED": "An owner has closed it for good.",
    },
)
described(
    OrganisationRole,
    "OrganisationRole",
    "What somebody is in an organisation; `viewerPermissions` says what that allows.",
    {
        "OWNER": "所有者: everything. There is one at all times.",
        "ADMIN": "管理员: looks after members, limits and cards.",
        "ACCOUNTANT": "财务: sees everything and changes nothing.",
        "DRIVER": "司机: recharges what is shared with them, and sees their own orders.",
    },
)
described(OrganisationPermission, "OrganisationPermission", "What a role allows.", PERMISSIONS)
described(
    MemberState,
    "MemberState",
    "Whether somebody belongs to an organisation. Who comes back is a new member.",
    {
        "ACTIVE": "They belong to it.",
        "LEFT": "They have left.",
        "REMOVED": "They were removed.",
        "CLOSED": "The organisation was closed.",
    },
)
described(
    InvitationState,
    "InvitationState",
    "Whether an invitation waits.",
    {
        "OPEN": "It waits, until it expires.",
        "ACCEPTED": "Somebody has come by it.",
        "WITHDRAWN": "It was taken back.",
    },
)
described(
    LimitPeriod,
    "LimitPeriod",
    "Which limit of a member. Days and months are those of China.",
    {"RECHARGE": "That of each recharge.", "DAY": "That of a day.", "MONTH": "That of a month."},
)
described(
    OrganisationAction,
    "OrganisationAction",
    "What was changed in an organisation.",
    {
        "CREATED": "It was founded.",
        "RENAMED": "It has another name.",
        "SUSPENDED": "Whoever runs the service has suspended it.",
        "RESUMED": "The suspension is over.",
        "CLOSED": "It was closed.",
        "INVITED": "Somebody was invited.",
        "INVITATION_WITHDRAWN": "An invitation was taken back.",
        "JOINED": "Somebody has accepted an invitation.",
        "LEFT": "A member has left.",
        "REMOVED": "A member was removed.",
        "ROLE_CHANGED": "A member has another role.",
        "OWNERSHIP_TRANSFERRED": "Another member is the owner now.",
        "LIMITS_SET": "A member has other limits.",
        "CARDS_SHARED": "Other cards are shared with a member.",
        "CARD_ADDED": "A card was handed over to it.",
        "CARD_REMOVED": "A card was given back.",
    },
)
