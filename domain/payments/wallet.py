"""The wallet as a way to pay: the money is set aside first and taken second, with no third party between."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.ledger.operations import post
from domain.ledger.postings import Whose, held, released
from domain.ledger.queries import wallet_balances
from kernel.errors import YoukaError
from kernel.money import Money
from models.payments import PaymentAttempt

WALLET = "wallet"
NO_MERCHANT = ""


class WalletInsufficient(YoukaError):
    code = "WALLET_INSUFFICIENT"
    messages = {
        "zh-CN": "钱包余额{balance.text}，不足以支付",
        "en": "The wallet holds {balance.text}, which is not enough",
    }


def is_wallet(attempt: PaymentAttempt) -> bool:
    return attempt.channel == WALLET


async def require_balance(*, user_id: UUID, amount_fen: int) -> None:
    """Raises WalletInsufficient. The database refuses an overdraft even where two holds pass this at once."""
    (balance,) = await wallet_balances([user_id])
    if balance.fen < amount_fen:
        raise WalletInsufficient(balance=balance, missing=Money(amount_fen) - balance)


async def hold(*, attempt: PaymentAttempt, now: datetime) -> None:
    """Set aside what a new attempt of a locked order costs."""
    await post(held(_whose(attempt), attempt=attempt.number, amount_fen=attempt.amount_fen), now=now)


async def release(*, attempt: PaymentAttempt, now: datetime) -> None:
    """Give back what an attempt of a locked order had set aside and will not take."""
    await post(released(_whose(attempt), attempt=attempt.number, amount_fen=attempt.amount_fen), now=now)


def _whose(attempt: PaymentAttempt) -> Whose:
    return Whose(attempt.order_id, attempt.user_id)
