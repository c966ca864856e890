"""What a subscription hands to a transport, and what a transport has to offer for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from kernel.errors import YoukaError


@dataclass(frozen=True, slots=True)
class Delivery:
    """One encoded execution result. It is shared by everybody who gets it, so nobody may change it.

    `payload` is UTF-8 JSON: an object with `data`, and `errors` where there are any. `cursor` is the place to resume
    from; None for what has no place in a stream. `position` is that place as a number, by which doubles are known.
    `cost` is what its execution cost, which each subscriber pays. `messages` keeps what was written around it for the
    names that operations have most.
    """

    payload: bytes
    cursor: str | None = None
    position: int = 0
    key: str | None = None
    cost: int = 1
    messages: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)


class Outlet(Protocol):
    """One operation of a client, as its subscription sees it."""

    def deliver(self, delivery: Delivery) -> None:
        """Take one delivery, at once and without waiting."""

    async def room(self) -> None:
        """Return once nothing waits here any more, or nobody is there to take it."""

    def end(self, errors: list[dict[str, Any]] | None) -> None:
        """Nothing more will come: the stream is complete, or these errors have ended it."""


class OperationRefused(Exception):
    """Nothing was executed; the errors are as the client may see them."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__([error["message"] for error in errors])
        self.errors = errors


class StreamOverflow(YoukaError):
    """The reader is too slow for a stream of which nothing may be left out. `cursor` is that of the last event sent."""

    code = "STREAM_OVERFLOW"
    messages = {
        "zh-CN": "读取过慢，请从游标处重新订阅",
        "en": "The stream is read too slowly; subscribe again from the cursor",
    }
