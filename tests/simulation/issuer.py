"""A card issuer with a deposit, cards, and books of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.cards.ports import (
    IssuerNotice,
    IssuerNoticeRefused,
    IssuerOrderState,
    IssuerUnavailable,
    RechargeFacts,
    RechargeRequest,
)
from tests.simulation.network import Network

MARGIN_BASIS_POINTS = 50


@dataclass
class Recharge:
    attempt_id: UUID
    card_number: str
    amount_fen: int
    issuer_order_id: str
    state: IssuerOrderState = IssuerOrderState.PROCESSING

    @property
    def cost_fen(self) -> int:
        """What it takes out of our deposit: the amount less the margin."""
        return self.amount_fen - self.amount_fen * MARGIN_BASIS_POINTS // 10_000


# What may follow what: an issuer may find that it was wrong, and nothing follows a reversal.
CORRECTIONS = {
    IssuerOrderState.PROCESSING: {IssuerOrderState.SUCCEEDED, IssuerOrderState.REFUSED},
    IssuerOrderState.REFUSED: {IssuerOrderState.SUCCEEDED},
    IssuerOrderState.SUCCEEDED: {IssuerOrderState.REVERSED},
    IssuerOrderState.REVERSED: set[IssuerOrderState](),
}


class SimulatedIssuer:
    """Implements `CardIssuer`. `on_submit` decides what becomes of a new recharge, at once or later."""

    name = "card_issuer"

    def __init__(self, network: Network, *, on_submit: Callable[[Recharge], None]) -> None:
        self.recharges: dict[UUID, Recharge] = {}
        self.cards_fen: Counter[str] = Counter()
        self.spent_fen = 0
        self._network, self._on_submit = network, on_submit

    async def submit(self, request: RechargeRequest) -> RechargeFacts:
        return await self._network.ask(self.name, "submit", lambda: self._submit(request), lost=IssuerUnavailable)

    async def query(self, attempt_id: UUID) -> RechargeFacts:
        return await self._network.ask(self.name, "query", lambda: self.facts_of(attempt_id), lost=IssuerUnavailable)

    def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> IssuerNotice:
        raise IssuerNoticeRefused("notices come as facts here")

    def settle(self, recharge: Recharge, state: IssuerOrderState) -> RechargeFacts:
        """Move a recharge on, with the money that this moves, and return what a callback says of it."""
        assert state in CORRECTIONS[recharge.state], (recharge.state, state)
        recharge.state = state
        sign = {IssuerOrderState.SUCCEEDED: 1, IssuerOrderState.REVERSED: -1}.get(state, 0)
        self.cards_fen[recharge.card_number] += sign * recharge.amount_fen
        self.spent_fen += sign * recharge.cost_fen
        return self.facts_of(recharge.attempt_id)

    def facts_of(self, attempt_id: UUID) -> RechargeFacts:
        recharge = self.recharges.get(attempt_id)
        if recharge is None:
            return RechargeFacts(attempt_id, IssuerOrderState.NOT_FOUND, None, 0, None, "")
        moved = recharge.state in {IssuerOrderState.SUCCEEDED, IssuerOrderState.REVERSED}
        return RechargeFacts(
            attempt_id=attempt_id,
            state=recharge.state,
            issuer_order_id=recharge.issuer_order_id,
            amount_fen=recharge.amount_fen,
            cost_fen=recharge.cost_fen if moved else None,
            reason="the card is not in order" if recharge.state is IssuerOrderState.REFUSED else "",
        )

    def _submit(self, request: RechargeRequest) -> RechargeFacts:
        recharge = self.recharges.get(request.attempt_id)
        if recharge is None:
            recharge = Recharge(
                request.attempt_id, request.card_number, request.amount_fen, f"IC{request.attempt_id.hex}"
            )
            self.recharges[recharge.attempt_id] = recharge
            self._on_submit(recharge)
        elif (recharge.card_number, recharge.amount_fen) != (request.card_number, request.amount_fen):
            # A 409 settles nothing.
            raise IssuerUnavailable("ATTEMPT_ID_REUSED")
        return self.facts_of(recharge.attempt_id)
