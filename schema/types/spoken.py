"""The arguments of `spoken`, which every object that is said aloud has."""

from __future__ import annotations

from typing import Annotated

import strawberry

from kernel.errors import Locale
from schema.types.context import Info
from schema.types.enums import SpokenLocale

Speaking = Annotated[
    SpokenLocale | None, strawberry.argument(description="In which language; that of the request where it is left out.")
]
MaxChars = Annotated[
    int, strawberry.argument(description="How many characters at most. What does not fit whole is shortened, or null.")
]

LOCALES: dict[SpokenLocale, Locale] = {SpokenLocale.ZH_CN: "zh-CN", SpokenLocale.EN: "en"}


def locale_of(info: Info, given: SpokenLocale | None) -> Locale:
    return LOCALES[given] if given else info.context.locale
