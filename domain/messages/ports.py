"""What the messages room asks of the mini-program platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from kernel.errors import YoukaError
from kernel.states import MessageTemplate


class MessagesUnavailable(YoukaError):
    """Nothing was sent, so the same message may be tried again."""

    code = "MESSAGES_UNAVAILABLE"
    messages = {"zh-CN": "消息服务暂不可用", "en": "Messages cannot be sent now"}


class Outcome(StrEnum):
    """What became of one message. Only of UNKNOWN nobody can say whether the user has it."""

    SENT = "SENT"
    NOT_ACCEPTED = "NOT_ACCEPTED"
    TURNED_DOWN = "TURNED_DOWN"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Sending:
    """`error_code` is the platform's own, where it gave one."""

    outcome: Outcome
    error_code: int | None = None


@dataclass(frozen=True, slots=True)
class TemplateOf:
    """One template as the deployment's mini-program has it: its id, and its keyword for each value of ours."""

    id: str
    keywords: Mapping[str, str] = field(default_factory=dict)


Templates = Mapping[MessageTemplate, TemplateOf]


class MessageSender(Protocol):
    @property
    def templates(self) -> Templates:
        """The templates of this deployment; none where it sends no messages."""

    async def send(self, *, openid: str, template: MessageTemplate, content: Mapping[str, str]) -> Sending:
        """Send one message once; `content` holds our own names. Raises MessagesUnavailable where nothing was sent."""
