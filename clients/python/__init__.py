"""A typed client of Youka's GraphQL for partners. It needs httpx, websockets and joserfc, and nothing of the server's.

async with YoukaClient("https://youka.example", tokens=ClientCredentials("fleet", key)) as youka:
    result = await youka.create_recharge(card=card_id, amount="100.00")
    match result:
        case CreateRechargeSuccess(order=order): …
        case Refusal(code=code, message=message): …
"""

from __future__ import annotations

from .client import YoukaClient
from .errors import (
    AnswerUnreadable,
    OperationFailed,
    Refusal,
    ServerUnavailable,
    SignInFailed,
    StreamEnded,
    Unknown,
    YoukaClientError,
)
from .retrying import Retry
from .tokens import ClientCredentials, FixedToken, new_key_pair

__all__ = [
    "AnswerUnreadable",
    "ClientCredentials",
    "FixedToken",
    "OperationFailed",
    "Refusal",
    "Retry",
    "ServerUnavailable",
    "SignInFailed",
    "StreamEnded",
    "Unknown",
    "YoukaClient",
    "YoukaClientError",
    "new_key_pair",
]
