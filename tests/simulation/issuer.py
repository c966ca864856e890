"""A card issuer with a deposit, cards, and books of its own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

from domain.cards.ports import (
    CardFacts,
    DepositFacts,
    IssuerBillLine,
    IssuerBillRefused,
    IssuerNotice,
    IssuerNoticeRefused,
    IssuerOrderState,
    IssuerUnavailable,
    RechargeFacts,
    RechargeRequest,
)
from kernel.states import CardBrand, CardCondition
from tests.simulation.network import Network

MAIN, OTHER = "card_issuer", "other_issuer"
MARGIN_BASIS_POINTS = {MAIN: 50, OTHER: 30}
DEPOSIT_FEN = 100_000_000
# The states in which a recharge is in a bill.
BILLED = frozenset({IssuerOrderState.SUCCEEDED, IssuerOrderState.REVERSED})


@dataclass
class Recharge:
    """`breaks_its_word` is one that the issuer carries out although it has said that it does not accept it."""

    attempt_id: UUID
    issuer: str
    card_number: str
    amount_fen: int
    issuer_order_id: str
    state: IssuerOrderState = IssuerOrderState.PROCESSING
    breaks_its_word: bool = False

    @property
    def cost_fen(self) -> int:
        """What it takes out of our deposit: the amount less the margin."""
        return cost_fen(self.issuer, self.amount_fen)


# What may follow what: an issuer may find that it was wrong, and nothing follows a reversal.
CORRECTIONS = {
    IssuerOrderState.PROCESSING: {IssuerOrderState.SUCCEEDED, IssuerOrderState.REFUSED, IssuerOrderState.NOT_ACCEPTED},
    IssuerOrderState.REFUSED: {IssuerOrderState.SUCCEEDED},
    IssuerOrderState.NOT_ACCEPTED: {IssuerOrderState.SUCCEEDED},
    IssuerOrderState.SUCCEEDED: {IssuerOrderState.REVERSED},
    IssuerOrderState.REVERSED: set[IssuerOrderState](),
}
REASONS = {
    IssuerOrderState.REFUSED: "the card is not in order",
    IssuerOrderState.NOT_ACCEPTED: "the deposit is too low",
}


def cost_fen(issuer: str, amount_fen: int) -> int:
    return amount_fen - amount_fen * MARGIN_BASIS_POINTS[issuer] // 10_000


@dataclass
class SimulatedIssuer:
    """Implements `CardIssuer`. `on_submit` decides what becomes of a new recharge, at once or later.

    While `closed` it accepts nothing, and does not remember what it was asked.
    """

    network: Network
    on_submit: Callable[[Recharge], None]
    name: str = MAIN
    notice_answer: str = ""
    closed: bool = False
    recharges: dict[UUID, Recharge] = field(default_factory=dict)
    cards_fen: Counter[str] = field(default_factory=Counter)
    spent_fen: int = 0

    def cost_fen(self, brand: CardBrand, amount_fen: int) -> int | None:
        return cost_fen(self.name, amount_fen)

    async def submit(self, request: RechargeRequest) -> RechargeFacts:
        return await self.network.ask(self.name, "submit", lambda: self._submit(request), lost=IssuerUnavailable)

    async def query(self, attempt_id: UUID) -> RechargeFacts:
        return await self.network.ask(self.name, "query", lambda: self.facts_of(attempt_id), lost=IssuerUnavailable)

    async def balance(self) -> DepositFacts:
        return await self.network.ask(
            self.name, "balance", lambda: DepositFacts(DEPOSIT_FEN - self.spent_fen), lost=IssuerUnavailable
        )

    async def check_card(self, brand: CardBrand, card_number: str) -> CardFacts:
        return CardFacts(CardCondition.USABLE, "*三")

    async def fetch_bill(self, day: date, into: Path) -> None:
        billed = [each for each in self.recharges.values() if each.state in BILLED]
        rows = [
            [str(each.attempt_id), each.issuer_order_id, each.state, each.amount_fen, each.cost_fen] for each in billed
        ]
        into.write_text(json.dumps({"rows": rows, "count": len(rows)}))  # noqa: ASYNC240 -- a few bytes.

    def read_bill(self, path: Path) -> Iterator[IssuerBillLine]:
        try:
            bill = json.loads(path.read_text())
        except ValueError:
            raise IssuerBillRefused("cut off") from None
        for attempt_id, issuer_order_id, state, amount_fen, cost in bill["rows"]:
            yield IssuerBillLine(UUID(attempt_id), issuer_order_id, IssuerOrderState(state), amount_fen, cost)

    def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> IssuerNotice:
        raise IssuerNoticeRefused("notices come as facts here")

    def settle(self, recharge: Recharge, state: IssuerOrderState) -> RechargeFacts:
        """Move a recharge on, with the money that this moves, and return what a callback says of it."""
        assert state in CORRECTIONS[recharge.state], (recharge.state, state)
        recharge.breaks_its_word |= recharge.state is IssuerOrderState.NOT_ACCEPTED
        recharge.state = state
        sign = {IssuerOrderState.SUCCEEDED: 1, IssuerOrderState.REVERSED: -1}.get(state, 0)
        self.cards_fen[recharge.card_number] += sign * recharge.amount_fen
        self.spent_fen += sign * recharge.cost_fen
        return self.facts_of(recharge.attempt_id)

    def facts_of(self, attempt_id: UUID) -> RechargeFacts:
        recharge = self.recharges.get(attempt_id)
        if recharge is None:
            return RechargeFacts(attempt_id, IssuerOrderState.NOT_FOUND, None, 0, None, "")
        return RechargeFacts(
            attempt_id=attempt_id,
            state=recharge.state,
            issuer_order_id=recharge.issuer_order_id,
            amount_fen=recharge.amount_fen,
            cost_fen=recharge.cost_fen if recharge.state in BILLED else None,
            reason=REASONS.get(recharge.state, ""),
        )

    def _submit(self, request: RechargeRequest) -> RechargeFacts:
        recharge = self.recharges.get(request.attempt_id)
        if recharge is None and self.closed:
            state = IssuerOrderState.NOT_ACCEPTED
            return RechargeFacts(request.attempt_id, state, None, request.amount_fen, None, REASONS[state])
        if recharge is None:
            recharge = Recharge(
                request.attempt_id, self.name, request.card_number, request.amount_fen, f"IC{request.attempt_id.hex}"
            )
            self.recharges[recharge.attempt_id] = recharge
            self.on_submit(recharge)
        elif (recharge.card_number, recharge.amount_fen) != (request.card_number, request.amount_fen):
            # A 409 settles nothing.
            raise IssuerUnavailable("ATTEMPT_ID_REUSED")
        return self.facts_of(recharge.attempt_id)
