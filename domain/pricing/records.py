"""What an import hands in: records that are known to fit before a table sees them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from kernel.errors import YoukaError
from kernel.states import Product

PROVINCE_CODE = re.compile(r"[1-9]\d{5}", re.ASCII)
WEB_ADDRESS = re.compile(r"https?://[!-~]+", re.IGNORECASE)
# What is not text: control characters, lone surrogates, and the mark that stands where bytes were not UTF-8.
NOT_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")

PROVINCE_NAME_LENGTH_MAX = 32
ZONE_CODE_LENGTH_MAX = 32
ZONE_NAME_LENGTH_MAX = 64
REGION_LENGTH_MAX = 64
SOURCE_LENGTH_MAX = 128
SOURCE_URL_LENGTH_MAX = 512
PRICE_MAX_MILLIYUAN = 100_000
PRICE_OUT_OF_RANGE = f"the price must be over 0 and at most {PRICE_MAX_MILLIYUAN // 1000} yuan a litre"


class RecordRefused(YoukaError):
    """One record of an import does not fit; `reason` is for the person who runs the import."""

    code = "RECORD_REFUSED"
    messages = {"zh-CN": "记录被拒绝：{reason}", "en": "The record was refused: {reason}"}

    @property
    def reason(self) -> str:
        return str(self.values["reason"])


class Change(StrEnum):
    """What became of one record."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    change: Change
    reason: str = ""


CREATED = Outcome(Change.CREATED)
UPDATED = Outcome(Change.UPDATED)
UNCHANGED = Outcome(Change.UNCHANGED)


def check_text(field: str, value: str, *, length_max: int, optional: bool = False) -> None:
    """Raises RecordRefused where a table or a reader could not hold the text."""
    if not value.strip() and not optional:
        raise RecordRefused(reason=f"{field} is empty")
    if len(value) > length_max:
        raise RecordRefused(reason=f"{field} has {len(value)} characters, more than {length_max}")
    if NOT_TEXT.search(value):
        raise RecordRefused(reason=f"{field} holds control characters or bytes that are not UTF-8 text")


def check_province_code(value: str) -> None:
    """Raises RecordRefused. Codes are those of GB/T 2260, such as 310000."""
    if not PROVINCE_CODE.fullmatch(value):
        raise RecordRefused(reason="province_code must be six digits, such as 310000")


@dataclass(frozen=True, slots=True)
class ZoneRecord:
    """A price zone of a province. Raises RecordRefused where it does not fit."""

    province_code: str
    province_name: str
    code: str
    name: str

    def __post_init__(self) -> None:
        check_province_code(self.province_code)
        check_text("province_name", self.province_name, length_max=PROVINCE_NAME_LENGTH_MAX)
        check_text("zone_code", self.code, length_max=ZONE_CODE_LENGTH_MAX)
        check_text("zone_name", self.name, length_max=ZONE_NAME_LENGTH_MAX)


@dataclass(frozen=True, slots=True)
class RegionRecord:
    """A province, city or county by its full short name, and its zone. Raises RecordRefused where it does not fit."""

    region: str
    province_code: str
    zone_code: str

    def __post_init__(self) -> None:
        check_text("region", self.region, length_max=REGION_LENGTH_MAX)
        check_province_code(self.province_code)
        check_text("zone_code", self.zone_code, length_max=ZONE_CODE_LENGTH_MAX)


@dataclass(frozen=True, slots=True)
class PriceRecord:
    """The price of a product in a zone, in thousandths of a yuan per litre. Raises RecordRefused."""

    province_code: str
    zone_code: str
    product: Product
    milliyuan: int
    source: str
    source_url: str

    def __post_init__(self) -> None:
        if not 0 < self.milliyuan <= PRICE_MAX_MILLIYUAN:
            raise RecordRefused(reason=PRICE_OUT_OF_RANGE)
        check_text("source name", self.source, length_max=SOURCE_LENGTH_MAX)
        check_text("source url", self.source_url, length_max=SOURCE_URL_LENGTH_MAX)
        if not WEB_ADDRESS.fullmatch(self.source_url):
            raise RecordRefused(reason="source url is not an http or https address")
