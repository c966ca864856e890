"""What may go wrong, and the typed errors that are an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Refusal:
    """A typed error of a payload: not an exception, but one of the answers. `message` is for people."""

    code: str
    message: str

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(code=data["code"], message=data["message"])


@dataclass(frozen=True, slots=True)
class Unknown:
    """A member of a payload that is newer than this client."""

    typename: str
    data: dict[str, Any]

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        return cls(str(data["__typename"]), data)


class YoukaClientError(Exception):
    """Whatever this client raises."""


class SignInFailed(YoukaClientError):
    """No token was given; `error` is that of RFC 6749, such as `invalid_client`."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error, self.description = error, description


class ServerUnavailable(YoukaClientError):
    """The server could not be asked, or was asked and gave no answer, as often as the client may try.

    `code` is the last one that the server has given, such as `RATE_LIMITED`; None where it has given none.
    `retry_after_s` is how long it wants to be left alone. What has an idempotency key may be asked again with it.
    """

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code, self.retry_after_s = code, retry_after_s


class AnswerUnreadable(YoukaClientError):
    """What was answered is not GraphQL: perhaps the address is another server's."""


class OperationFailed(YoukaClientError):
    """The answer has errors that are none of the payload's. `data` is what there is beside them, if anything."""

    def __init__(self, errors: Sequence[dict[str, Any]], data: dict[str, Any] | None = None) -> None:
        super().__init__("; ".join(f"{code_of(each)}: {each.get('message')}" for each in errors))
        self.errors, self.data = list(errors), data

    @property
    def code(self) -> str:
        """The code of the first error, such as `FORBIDDEN`."""
        return code_of(self.errors[0])

    @property
    def extensions(self) -> dict[str, Any]:
        """What the first error says beside its code."""
        found: dict[str, Any] = self.errors[0].get("extensions") or {}
        return found


class StreamEnded(YoukaClientError):
    """A subscription cannot go on. `cursor` is where to begin again; None where nothing has come."""

    def __init__(self, reason: str, *, cursor: str | None) -> None:
        super().__init__(reason)
        self.cursor = cursor


def code_of(error: dict[str, Any]) -> str:
    """Return the code of an error of GraphQL; empty where it has none."""
    return str((error.get("extensions") or {}).get("code", ""))
