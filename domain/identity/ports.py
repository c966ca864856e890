"""What the identity room asks of the mini-program platform and of the face verification service."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from kernel.errors import YoukaError

CHINA = "86"
MASKED_LENGTH_MIN = 10


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


class PhoneCodeRefused(YoukaError):
    code = "PHONE_CODE_REFUSED"
    messages = {
        "zh-CN": "手机号授权无效、已使用或已过期，请重新授权",
        "en": "The phone code is invalid, used or too old, please share the number again",
    }


class PhoneUnavailable(YoukaError):
    code = "PHONE_SERVICE_UNAVAILABLE"
    messages = {
        "zh-CN": "手机号服务暂不可用，请稍后再试",
        "en": "The phone service is not available now, please try again",
    }


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone number: the country's code and the national number, digits only."""

    country: str
    national: str = field(repr=False)

    @property
    def e164(self) -> str:
        return f"+{self.country}{self.national}"

    @property
    def masked(self) -> str:
        """What people are shown: the first three digits where there are enough, and the last four."""
        head = self.national[:3] if len(self.national) >= MASKED_LENGTH_MIN else ""
        prefix = "" if self.country == CHINA else f"+{self.country} "
        return f"{prefix}{head}****{self.national[-4:]}" if head else f"{prefix}****{self.national[-2:]}"


class PhoneNumbers(Protocol):
    async def phone_of(self, code: str) -> Phone:
        """Exchange a code of the user once for their number. Raises PhoneCodeRefused or PhoneUnavailable."""


class SmsUnavailable(YoukaError):
    code = "SMS_UNAVAILABLE"
    messages = {"zh-CN": "短信服务暂不可用，请稍后再试", "en": "Text messages cannot be sent now, please try again"}


class SmsSender(Protocol):
    async def send_code(self, *, phone: Phone, code: str, lifetime: timedelta) -> None:
        """Send a code once. Raises SmsUnavailable where it was not sent, or where nobody knows."""
