"""What mutations answer: a success, or one of the errors that the user can act on."""

from __future__ import annotations

from typing import Annotated

import strawberry

from schema.types.cards import Card
from schema.types.errors import (
    ChannelError,
    IdempotencyError,
    InvalidAmount,
    InvalidCardNumber,
    LimitReached,
    NotFound,
    OrderStateError,
)
from schema.types.orders import CancelRechargeSuccess, CreateRechargeSuccess, PayRechargeSuccess


@strawberry.type(description="The card is bound, or was bound before.")
class BindCardSuccess:
    card: Card = strawberry.field(description="The card.")


BindCardPayload = Annotated[
    BindCardSuccess | InvalidCardNumber | LimitReached,
    strawberry.union("BindCardPayload", description="What `bindCard` answers."),
]
CreateRechargePayload = Annotated[
    CreateRechargeSuccess | InvalidAmount | LimitReached | NotFound | IdempotencyError,
    strawberry.union("CreateRechargePayload", description="What `createRecharge` answers."),
]
PayRechargePayload = Annotated[
    PayRechargeSuccess | NotFound | IdempotencyError | OrderStateError | ChannelError,
    strawberry.union("PayRechargePayload", description="What `payRecharge` answers."),
]
CancelRechargePayload = Annotated[
    CancelRechargeSuccess | NotFound | OrderStateError | ChannelError,
    strawberry.union("CancelRechargePayload", description="What `cancelRecharge` answers."),
]
