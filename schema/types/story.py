"""An order's whole story, for staff."""

from __future__ import annotations

from typing import Self

import strawberry

from domain.operators.story import Entry, Story
from kernel.money import Money as Amount
from schema.types import costs
from schema.types.money import Money
from schema.types.operator_enums import EntryKind
from schema.types.orders import Order
from schema.types.scalars import DateTime


@strawberry.type(directives=[costs.FREE], description="One word about a line of the story.")
class StoryFact:
    name: str = strawberry.field(description="What it is, such as `out_trade_no`.")
    value: str = strawberry.field(description="Its value; what is secret is masked.")


@strawberry.type(directives=[costs.FREE], description="One line of an order's story.")
class StoryEntry:
    at: DateTime = strawberry.field(description="When, in UTC.")
    kind: EntryKind = strawberry.field(description="What the line comes from.")
    what: str = strawberry.field(description="What happened, in a word of the kind.")
    actor: str = strawberry.field(description="Who: `user:…`, `staff:…`, `system`, or the name of a third party.")
    amount: Money | None = strawberry.field(description="The money that it is about; in the ledger without a sign.")
    account: str | None = strawberry.field(description="The account that is debited or credited, of ledger lines.")
    facts: list[StoryFact] = strawberry.field(directives=[costs.at_most(10)], description="What else is known.")

    @classmethod
    def of(cls, entry: Entry) -> Self:
        fen = entry.amount_fen
        if fen is not None and entry.account is not None:
            fen = abs(fen)
        return cls(
            at=DateTime(entry.at),
            kind=entry.kind,
            what=entry.what,
            actor=entry.actor,
            amount=None if fen is None else Money.showing(Amount(fen)),
            account=entry.account,
            facts=[StoryFact(name=name, value=str(value)) for name, value in entry.facts.items()],
        )


@strawberry.type(description="Everything that is known of an order, on one timeline. For staff.")
class OrderStory:
    order: Order = strawberry.field(description="The order.")
    entries: list[StoryEntry] = strawberry.field(
        directives=[costs.at_most(100)], description="Every line, oldest first."
    )
    complete: bool = strawberry.field(description="Whether these are all; a very long story is cut off behind.")

    @classmethod
    def of(cls, story: Story) -> Self:
        return cls(
            order=Order.of(story.order),
            entries=[StoryEntry.of(entry) for entry in story.entries],
            complete=story.complete,
        )
