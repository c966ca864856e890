"""Reading phone numbers as people type them; mobile numbers of the mainland only, since only they are sent codes."""

from __future__ import annotations

import re

from domain.identity.ports import CHINA, Phone
from kernel.errors import YoukaError

TEXT_LENGTH_MAX = 32
SEPARATORS = re.compile(r"[\s\-]+")
# 1 and ten digits, with or without +86.
MOBILE = re.compile(r"(?:\+?86)?(1[0-9]{10})", re.ASCII)


class PhoneInvalid(YoukaError):
    """The values never repeat the number, since the error may be logged."""

    code = "PHONE_INVALID"
    messages = {
        "zh-CN": "手机号有误：须为11位中国大陆手机号",
        "en": "The phone number is not a mobile number of the mainland",
    }


def read_phone(text: str) -> Phone:
    """Raises PhoneInvalid."""
    if len(text) <= TEXT_LENGTH_MAX:
        found = MOBILE.fullmatch(SEPARATORS.sub("", text))
        if found:
            return Phone(country=CHINA, national=found[1])
    raise PhoneInvalid
