"""What the pricing room asks of the price platform of a province."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from domain.pricing.records import PriceRecord
from kernel.errors import YoukaError


class PriceSourceUnavailable(YoukaError):
    code = "PRICE_SOURCE_UNAVAILABLE"
    messages = {"zh-CN": "价格平台暂不可用", "en": "The price platform cannot be asked now"}


class PriceDocumentRefused(YoukaError):
    """What the platform sent is no document of prices; nothing of it is used."""

    code = "PRICE_DOCUMENT_REFUSED"
    messages = {"zh-CN": "价格文件有误：{reason}", "en": "The document of prices is wrong: {reason}"}


@dataclass(frozen=True, slots=True)
class PublishedPrices:
    """One version of a province's prices. They are in force from 24:00 of the day of the adjustment.

    `digest` is the SHA-256 of the document in hexadecimal: the same version is never another document.
    """

    province_code: str
    version: int
    digest: str
    adjusted_on: date
    prices: Sequence[PriceRecord]


class PriceSource(Protocol):
    async def documents(self, *, province_code: str, since_version: int, limit: int) -> list[PublishedPrices]:
        """Return the province's documents from a version on, that one too, the oldest first.

        Raises PriceSourceUnavailable or PriceDocumentRefused.
        """
