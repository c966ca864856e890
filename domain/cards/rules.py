"""The numbers of fuel cards; no I/O.

Sinopec's 加油卡 has 19 digits that begin with 100011; PetroChina's 昆仑加油卡 has 16 that begin with 9.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kernel.errors import YoukaError
from kernel.states import CardBrand

NUMBER_LENGTH_MAX = 64
TAIL_DIGITS = 4
SEPARATORS = re.compile(r"[\s\-]+")
PATTERNS = {
    CardBrand.SINOPEC: re.compile(r"100011[0-9]{13}", re.ASCII),
    CardBrand.PETROCHINA: re.compile(r"9[0-9]{15}", re.ASCII),
}


class CardNumberInvalid(YoukaError):
    """The values never repeat the number, since the error may be logged."""

    code = "CARD_NUMBER_INVALID"
    messages = {
        "zh-CN": "卡号有误：中石化加油卡为100011开头的19位数字，中石油昆仑卡为9开头的16位数字",
        "en": "The card number is wrong: Sinopec cards have 19 digits from 100011, PetroChina cards 16 from 9",
    }


@dataclass(frozen=True, slots=True)
class CardNumber:
    brand: CardBrand
    digits: str = field(repr=False)

    @property
    def tail(self) -> str:
        return self.digits[-TAIL_DIGITS:]


def read_number(text: str) -> CardNumber:
    """Read a number as people type it, with spaces or hyphens. Raises CardNumberInvalid."""
    if len(text) <= NUMBER_LENGTH_MAX:
        digits = SEPARATORS.sub("", text)
        for brand, pattern in PATTERNS.items():
            if pattern.fullmatch(digits):
                return CardNumber(brand, digits)
    raise CardNumberInvalid


def masked_owner(name: str) -> str:
    """Return what people are shown of an owner's name: its last character, as card issuers do."""
    return f"*{name[-1]}" if name else ""


def masked(tail: str) -> str:
    """Return what people are shown of a number."""
    return f"**** {tail}"
