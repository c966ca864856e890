"""The platforms beside the road of an order. What is None is not offered by this deployment."""

from __future__ import annotations

from dataclasses import dataclass

from domain.identity.ports import PhoneNumbers, SmsSender
from domain.messages.ports import MessageSender
from domain.payments.banks import Bank
from domain.pricing.ports import PriceSource
from domain.stations.ports import Places


@dataclass(frozen=True, slots=True)
class Platforms:
    phones: PhoneNumbers | None = None
    messages: MessageSender | None = None
    prices: PriceSource | None = None
    places: Places | None = None
    sms: SmsSender | None = None
    bank: Bank | None = None


NO_PLATFORMS = Platforms()
