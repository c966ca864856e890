"""What a turn of a conversation refuses, apart from the other errors since those fill a file."""

from __future__ import annotations

import strawberry

from schema.types.user_error import UserError


@strawberry.type(description="The session, the transcript or the location is not one, or two turns came at once.")
class VoiceInputError(UserError):
    retryable: bool = strawberry.field(description="Whether saying it again can help.")


@strawberry.type(description="This takes somebody who is signed in, with a token that may recharge by voice.")
class VoiceNotAllowed(UserError):
    pass


@strawberry.type(description="The yes came too late, or without the token of what was proposed last. Nothing was done.")
class ConfirmationError(UserError):
    pass
