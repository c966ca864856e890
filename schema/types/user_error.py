"""What every error that the user can act on has."""

from __future__ import annotations

from typing import Any

import strawberry

from domain.voice import spoken
from schema.types.context import Info
from schema.types.spoken import MaxChars, Speaking, locale_of


@strawberry.interface(description="A refusal that the user can act on.")
class UserError:
    code: str = strawberry.field(description="Stable and machine-readable, such as `AMOUNT_TOO_LARGE`.")
    message: str = strawberry.field(description="For the user, in the language of the request (zh-CN or en).")
    # What was raised, for saying it in another language; `Any`, since builders hand in texts alone.
    error: strawberry.Private[Any] = None

    @strawberry.field(description="The message to say aloud, or its first clauses where only those fit; else null.")
    def spoken(self, info: Info, locale: Speaking = None, max_chars: MaxChars = 60) -> str | None:
        language = locale_of(info, locale)
        text = self.error.message(language) if self.error else self.message
        return spoken.message(text, language, max_chars)
