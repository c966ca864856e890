"""Turns of a conversation by voice as clients see them."""

from __future__ import annotations

from typing import Self

import strawberry

from domain.voice.operations import Offered, Turn
from schema.types.cards import Card
from schema.types.enums import Product, SpokenLocale, VoiceIntent
from schema.types.money import Money
from schema.types.orders import Order
from schema.types.scalars import DateTime
from schema.types.stations import LocationInput, Station


@strawberry.input(description="What a driver has said.")
class VoiceTurnInput:
    session: str = strawberry.field(
        description="The client's own name for the conversation: 8 to 64 visible ASCII characters, new for each."
    )
    transcript: str = strawberry.field(description="The words, as the car's speech recognition has written them.")
    locale: SpokenLocale | None = strawberry.field(
        description="In which language to answer; that of the request where it is left out.", default=None
    )
    location: LocationInput | None = strawberry.field(description="Where the car is.", default=None)
    confirm_token: str | None = strawberry.field(
        description="The token of the proposal that the driver has heard. Without it no yes confirms anything.",
        default=None,
    )


@strawberry.type(description="What is put to the driver: a station, or a recharge that takes a yes.")
class VoiceProposal:
    amount: Money | None = strawberry.field(description="How much would be recharged; null for a station.")
    card: Card | None = strawberry.field(description="Which card would be recharged; null for a station.")
    station: Station | None = strawberry.field(description="The station that was found; null for a recharge.")
    product: Product | None = strawberry.field(description="The fuel that was spoken of, if one was.")
    expires_at: DateTime | None = strawberry.field(description="Until when a yes is heard; null where none is needed.")
    confirm_token: str | None = strawberry.field(
        description="Send this with the next turn. It is good once, for this amount and card; null for a station."
    )

    @classmethod
    def of(cls, offered: Offered) -> Self:
        return cls(
            amount=Money.showing(offered.amount) if offered.amount else None,
            card=Card.of(offered.card) if offered.card else None,
            station=Station.of(offered.station) if offered.station else None,
            product=offered.product,
            expires_at=DateTime(offered.expires_at) if offered.expires_at else None,
            confirm_token=offered.confirm_token,
        )


@strawberry.type(description="The answer to one turn.")
class VoiceTurnSuccess:
    speech: str = strawberry.field(description="What to say, with every number in words.")
    ssml: str = strawberry.field(description="The same in SSML 1.1, for voices that read it.")
    display: str = strawberry.field(description="What to show, with numbers in digits.")
    intent: VoiceIntent = strawberry.field(description="What was understood.")
    confidence: int = strawberry.field(description="How sure that is, from 0 to 100.")
    proposal: VoiceProposal | None = strawberry.field(description="What is put to the driver, if anything is.")
    needs_confirmation: bool = strawberry.field(
        description="Whether the next turn has to say yes, with `proposal.confirmToken`, before anything moves."
    )
    order: Order | None = strawberry.field(description="The order that the answer is about, if it is about one.")

    @classmethod
    def of(cls, turn: Turn) -> Self:
        return cls(
            speech=turn.speech.said,
            ssml=turn.speech.ssml,
            display=turn.speech.shown,
            intent=turn.intent,
            confidence=turn.confidence,
            proposal=VoiceProposal.of(turn.offered) if turn.offered else None,
            needs_confirmation=turn.needs_confirmation,
            order=Order.of(turn.order) if turn.order else None,
        )
