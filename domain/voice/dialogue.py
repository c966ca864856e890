"""How a conversation about money goes on; no I/O.

Nothing moves in the turn in which it is asked for. A recharge is proposed, and happens only where the next turn says
yes to that very amount and card; whatever else is said ends the proposal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from domain.voice.amounts import Question
from domain.voice.intents import Intent, Understood
from kernel.money import Money
from kernel.states import CardBrand


class Asking(StrEnum):
    """What the service has asked, and the next turn may answer."""

    AMOUNT = "AMOUNT"
    CARD = "CARD"
    GUESS = "GUESS"


@dataclass(frozen=True, slots=True)
class KnownCard:
    id: UUID
    brand: CardBrand
    tail: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """A recharge that waits for a yes. `confirmed` says that one was said, so that it is heard once.

    `by_mandate` says that it was put to the user as paid by their mandate; else nothing but the wallet is touched.
    """

    id: UUID
    card: KnownCard
    amount: Money
    token_hash: str
    expires_at: datetime
    confirmed: bool = False
    by_mandate: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """What a conversation remembers: a proposal, or a question and what was said so far."""

    asking: Asking | None = None
    amount: Money | None = None
    brand: CardBrand | None = None
    tail: str = ""
    guess: Intent | None = None
    proposal: Proposal | None = None

    def as_json(self) -> dict[str, Any]:
        proposal = self.proposal
        return {
            "asking": self.asking,
            "amount_fen": self.amount.fen if self.amount else None,
            "brand": self.brand,
            "tail": self.tail,
            "guess": self.guess,
            "proposal": None
            if proposal is None
            else {
                "id": str(proposal.id),
                "card_id": str(proposal.card.id),
                "brand": proposal.card.brand,
                "tail": proposal.card.tail,
                "amount_fen": proposal.amount.fen,
                "token_hash": proposal.token_hash,
                "expires_at": proposal.expires_at.isoformat(),
                "confirmed": proposal.confirmed,
                "by_mandate": proposal.by_mandate,
            },
        }

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> Self:
        said = kept["proposal"]
        proposal = said and Proposal(
            id=UUID(said["id"]),
            card=KnownCard(UUID(said["card_id"]), CardBrand(said["brand"]), said["tail"]),
            amount=Money(said["amount_fen"]),
            token_hash=said["token_hash"],
            expires_at=datetime.fromisoformat(said["expires_at"]),
            confirmed=said["confirmed"],
            by_mandate=said.get("by_mandate", False),
        )
        return cls(
            asking=Asking(kept["asking"]) if kept["asking"] else None,
            amount=Money(kept["amount_fen"]) if kept["amount_fen"] is not None else None,
            brand=CardBrand(kept["brand"]) if kept["brand"] else None,
            tail=kept["tail"],
            guess=Intent(kept["guess"]) if kept["guess"] else None,
            proposal=proposal,
        )


NOTHING = State()


class Act(StrEnum):
    """What the turn does."""

    ANSWER = "ANSWER"
    ASK_AMOUNT = "ASK_AMOUNT"
    ASK_CARD = "ASK_CARD"
    NO_CARD = "NO_CARD"
    PROPOSE = "PROPOSE"
    REPEAT = "REPEAT"
    EXECUTE = "EXECUTE"
    CANCELLED = "CANCELLED"
    NOTHING_TO_CONFIRM = "NOTHING_TO_CONFIRM"
    NOTHING_TO_CANCEL = "NOTHING_TO_CANCEL"
    ASK_GUESS = "ASK_GUESS"
    NOT_UNDERSTOOD = "NOT_UNDERSTOOD"


@dataclass(frozen=True, slots=True)
class Move:
    """The act, the intent that it serves, and what the conversation remembers behind it.

    PROPOSE names card and amount; REPEAT and EXECUTE are about the proposal of the state.
    """

    act: Act
    intent: Intent
    state: State
    card: KnownCard | None = None
    amount: Money | None = None
    question: Question | None = None


QUERIES = frozenset(
    {Intent.NEAREST_STATION, Intent.CHEAPEST_STATION, Intent.PRICE, Intent.BALANCE, Intent.ORDER_STATE, Intent.HELP}
)


def next_move(state: State, heard: Understood, cards: Sequence[KnownCard]) -> Move:
    """Return what the words do in the state. `cards` are those of the viewer."""
    pending = state.proposal if state.proposal and not state.proposal.confirmed else None
    if heard.intent is Intent.CONFIRM:
        return _confirm(state, heard, cards)
    if heard.intent is Intent.CANCEL:
        had = pending is not None or state.asking is not None
        return Move(Act.CANCELLED if had else Act.NOTHING_TO_CANCEL, Intent.CANCEL, NOTHING)
    if heard.intent in QUERIES:
        return Move(Act.ANSWER, heard.intent, NOTHING)
    if state.asking is Asking.CARD and heard.bare_digits in {card.tail for card in cards} and not heard.tail:
        heard = replace(heard, tail=heard.bare_digits, bare_digits="", amount=None, question=None)
    if heard.intent is Intent.RECHARGE:
        return _recharge(_merged(state, heard), heard, cards)
    if pending:
        return _beside_a_proposal(state, pending, heard, cards)
    if state.asking in {Asking.AMOUNT, Asking.CARD} and _says_something(heard):
        return _recharge(_merged(state, heard), heard, cards)
    if heard.guess:
        return Move(Act.ASK_GUESS, Intent.UNKNOWN, State(asking=Asking.GUESS, guess=heard.guess))
    return Move(Act.NOT_UNDERSTOOD, Intent.UNKNOWN, replace(state, proposal=None))


def _confirm(state: State, heard: Understood, cards: Sequence[KnownCard]) -> Move:
    if state.asking is Asking.GUESS and state.guess:
        return Move(Act.ANSWER, state.guess, NOTHING)
    proposal = state.proposal
    if proposal is None:
        if heard.amount is None and heard.question is None:
            return Move(Act.NOTHING_TO_CONFIRM, Intent.CONFIRM, NOTHING)
        return _recharge(_merged(state, heard), heard, cards)
    same_amount = heard.question is None and heard.amount in {None, proposal.amount}
    same_card = heard.tail in {"", proposal.card.tail} and heard.brand in {None, proposal.card.brand}
    if same_amount and same_card:
        return Move(Act.EXECUTE, Intent.CONFIRM, state, card=proposal.card, amount=proposal.amount)
    # A yes to something else than was proposed is a new wish.
    return _recharge(_merged(state, heard), heard, cards)


def _beside_a_proposal(state: State, pending: Proposal, heard: Understood, cards: Sequence[KnownCard]) -> Move:
    if _says_something(heard):
        return _recharge(_merged(state, heard), heard, cards)
    return Move(Act.REPEAT, Intent.UNKNOWN, state, card=pending.card, amount=pending.amount)


def _says_something(heard: Understood) -> bool:
    return bool(heard.amount or heard.question or heard.tail or heard.brand)


def _merged(state: State, heard: Understood) -> State:
    """Add what was said to what is remembered; a new amount or card takes the place of the old one."""
    pending = state.proposal if state.proposal and not state.proposal.confirmed else None
    amount = pending.amount if pending else state.amount
    tail, brand = (pending.card.tail, pending.card.brand) if pending else (state.tail, state.brand)
    if heard.question:
        amount = None
    if heard.tail or heard.brand:
        tail, brand = heard.tail, heard.brand
    return State(amount=heard.amount or amount, tail=tail, brand=brand)


def _recharge(wish: State, heard: Understood, cards: Sequence[KnownCard]) -> Move:
    if not cards:
        return Move(Act.NO_CARD, Intent.RECHARGE, NOTHING)
    question = heard.question
    if heard.amount and heard.bare_digits in {card.tail for card in cards}:
        # Nobody can say whether 2000 is an amount or the card that ends in it.
        question = Question.MAYBE_OTHER
    if question or wish.amount is None:
        asked = replace(wish, asking=Asking.AMOUNT, amount=None)
        return Move(Act.ASK_AMOUNT, Intent.RECHARGE, asked, question=question)
    fitting = [card for card in cards if wish.tail in {"", card.tail} and wish.brand in {None, card.brand}]
    if len(fitting) != 1:
        return Move(Act.ASK_CARD, Intent.RECHARGE, replace(wish, asking=Asking.CARD, tail="", brand=None))
    return Move(Act.PROPOSE, Intent.RECHARGE, wish, card=fitting[0], amount=wish.amount)
