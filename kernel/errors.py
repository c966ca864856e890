"""The root of every error that somebody can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

Locale = Literal["zh-CN", "en"]
DEFAULT_LOCALE: Locale = "zh-CN"


class YoukaError(Exception):
    """A refusal with a stable code and a message in the caller's language.

    A subclass stands beside the function that raises it and names its `code` and both messages; the keyword
    arguments of the constructor are the values that the message and the client need (`minimum`, `retry_at`).
    Values must never hold card numbers, phones, tokens or other secrets.
    """

    code: ClassVar[str] = "INTERNAL"
    messages: ClassVar[Mapping[Locale, str]] = {"zh-CN": "系统错误", "en": "Internal error"}

    def __init__(self, **values: Any) -> None:
        self.values = values
        super().__init__(self.message("en"))

    def message(self, locale: Locale) -> str:
        return self.messages[locale].format(**self.values)


class ServiceNotConfigured(YoukaError):
    """This deployment does without a third party that is optional."""

    code = "SERVICE_NOT_CONFIGURED"
    messages = {"zh-CN": "本服务未开通此功能", "en": "This deployment does not offer this"}
