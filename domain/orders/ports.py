"""The third parties that an order passes through."""

from __future__ import annotations

from dataclasses import dataclass

from domain.cards.ports import CardIssuer
from domain.identity.ports import MiniProgramLogin
from domain.payments.ports import PaymentChannel


@dataclass(frozen=True, slots=True)
class ThirdParties:
    channel: PaymentChannel
    issuer: CardIssuer
    login: MiniProgramLogin
