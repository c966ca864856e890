"""The third parties that an order passes through."""

from __future__ import annotations

from dataclasses import dataclass

from domain.cards.ports import CardIssuer, Issuers
from domain.identity.ports import FaceVerifier, MiniProgramLogin
from domain.orders.platforms import NO_PLATFORMS, Platforms
from domain.payments.contracts import Contracts
from domain.payments.ports import Channels
from domain.switches.ports import ALL_WELL, Health


@dataclass(frozen=True, slots=True)
class ThirdParties:
    channels: Channels
    issuers: Issuers
    login: MiniProgramLogin
    face: FaceVerifier
    platforms: Platforms = NO_PLATFORMS
    contracts: Contracts | None = None
    health: Health = ALL_WELL

    @property
    def issuer(self) -> CardIssuer:
        """The main issuer."""
        return self.issuers.main
