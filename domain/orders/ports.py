"""The third parties that an order passes through."""

from __future__ import annotations

from dataclasses import dataclass

from domain.cards.ports import CardIssuer
from domain.identity.ports import FaceVerifier, MiniProgramLogin
from domain.orders.platforms import NO_PLATFORMS, Platforms
from domain.payments.ports import Channels


@dataclass(frozen=True, slots=True)
class ThirdParties:
    channels: Channels
    issuer: CardIssuer
    login: MiniProgramLogin
    face: FaceVerifier
    platforms: Platforms = NO_PLATFORMS
