"""What memberships reach, in SQL, for statements that filter the rows of one person or of many at once.

These say what `Standing` and the table of rights say; there is nothing about rights that is only here.
"""

from __future__ import annotations

from domain.organisations.rules import may
from kernel.organisation_states import MemberState, OrganisationPermission, OrganisationRole


def organisations_where(permission: OrganisationPermission, *, user: str) -> str:
    """Return a query for the organisations in which a user, who is an expression, may do a thing by their role now."""
    roles = ", ".join(f"'{role}'" for role in OrganisationRole if may(role, permission))
    return (
        "SELECT belongs.organisation_id FROM organisation_member belongs "  # noqa: S608 - names of our own
        f"WHERE belongs.user_id = {user} AND belongs.state = '{MemberState.ACTIVE}' AND belongs.role IN ({roles})"
    )
