"""What the identity room asks of the mini-program platform and of the face verification service."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from kernel.errors import YoukaError


class LoginCodeRefused(YoukaError):
    code = "LOGIN_CODE_REFUSED"
    messages = {"zh-CN": "登录凭证无效或已使用", "en": "The login code is invalid or was used already"}


class LoginUnavailable(YoukaError):
    code = "LOGIN_UNAVAILABLE"
    messages = {"zh-CN": "登录服务暂不可用，请稍后再试", "en": "Sign-in is not available now, please try again"}


class MiniProgramLogin(Protocol):
    async def openid_of(self, code: str) -> str:
        """Exchange a `wx.login` code once for the user's openid. Raises LoginCodeRefused or LoginUnavailable."""


class FaceUnavailable(YoukaError):
    code = "FACE_VERIFICATION_UNAVAILABLE"
    messages = {
        "zh-CN": "人脸核身服务暂不可用，请稍后再试",
        "en": "Face verification is not available now, please try again",
    }


class FaceOutcome(StrEnum):
    PENDING = "PENDING"
    PASSED = "PASSED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class FaceSession:
    """A verification to go through: the service's token for it, and the page where the user does."""

    token: str
    url: str


@dataclass(frozen=True, slots=True)
class FaceFacts:
    """What the service itself says of a token. `subject` is what the session was begun for, in our own words."""

    token: str
    outcome: FaceOutcome
    subject: str


class FaceVerifier(Protocol):
    """The server side of face verification; what a client claims is never looked at."""

    async def begin(self, *, subject: str) -> FaceSession:
        """Begin a session whose result will carry `subject`. Raises FaceUnavailable."""

    async def result(self, token: str) -> FaceFacts:
        """Ask how a session ended; one that the service does not know has FAILED. Raises FaceUnavailable."""
