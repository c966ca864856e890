"""What the mutations of organisations answer."""

from __future__ import annotations

from typing import Annotated

import strawberry

from schema.types.account_errors import PhoneError
from schema.types.errors import InvalidAmount, LimitReached, MaintenanceError, NotFound
from schema.types.organisation_errors import OrganisationError
from schema.types.organisation_inputs import (
    InviteMemberSuccess,
    MemberSuccess,
    OrganisationCardSuccess,
    OrganisationSuccess,
    WithdrawInvitationSuccess,
)

CreateOrganisationPayload = Annotated[
    OrganisationSuccess | OrganisationError | LimitReached | MaintenanceError,
    strawberry.union("CreateOrganisationPayload", description="What `createOrganisation` answers."),
]
OrganisationPayload = Annotated[
    OrganisationSuccess | NotFound | OrganisationError | MaintenanceError,
    strawberry.union(
        "OrganisationPayload",
        description="What `renameOrganisation`, `closeOrganisation` and `leaveOrganisation` answer.",
    ),
]
InviteMemberPayload = Annotated[
    InviteMemberSuccess | NotFound | OrganisationError | InvalidAmount | PhoneError | LimitReached | MaintenanceError,
    strawberry.union("InviteMemberPayload", description="What `inviteMember` answers."),
]
WithdrawInvitationPayload = Annotated[
    WithdrawInvitationSuccess | NotFound | OrganisationError | MaintenanceError,
    strawberry.union("WithdrawInvitationPayload", description="What `withdrawInvitation` answers."),
]
AcceptInvitationPayload = Annotated[
    OrganisationSuccess | OrganisationError | LimitReached | MaintenanceError,
    strawberry.union("AcceptInvitationPayload", description="What `acceptInvitation` answers."),
]
MemberPayload = Annotated[
    MemberSuccess | NotFound | OrganisationError | InvalidAmount | MaintenanceError,
    strawberry.union(
        "MemberPayload",
        description="What `removeMember`, `changeMemberRole`, `setMemberLimits`, `shareCards` and `transferOwnership` "
        "answer.",
    ),
]
OrganisationCardPayload = Annotated[
    OrganisationCardSuccess | NotFound | OrganisationError | LimitReached | MaintenanceError,
    strawberry.union(
        "OrganisationCardPayload", description="What `addOrganisationCard` and `removeOrganisationCard` answer."
    ),
]
