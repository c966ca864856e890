"""Reading the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from domain.ledger.postings import customer_held, customer_prepaid
from kernel.money import Money
from models.ledger import LedgerAccount


async def balance(code: str) -> Money:
    """Return debits minus credits of an account; an account that nobody has posted to holds nothing."""
    account = await LedgerAccount.get_or_none(code=code)
    return Money(account.balance_fen if account else 0)


async def wallet_balances(user_ids: Sequence[UUID]) -> list[Money]:
    """Return what the service holds for each user: a liability, so its credit balance."""
    codes = [customer_prepaid(user_id) for user_id in user_ids]
    found = {account.code: account.balance_fen for account in await LedgerAccount.filter(code__in=set(codes))}
    return [Money(-found.get(code, 0)) for code in codes]


async def wallets(user_ids: Sequence[UUID]) -> list[tuple[Money, Money]]:
    """Return what each user can spend, and what is set aside for orders that are being paid."""
    codes = [(customer_prepaid(user_id), customer_held(user_id)) for user_id in user_ids]
    wanted = {code for pair in codes for code in pair}
    found = {account.code: account.balance_fen for account in await LedgerAccount.filter(code__in=wanted)}
    return [(Money(-found.get(balance, 0)), Money(-found.get(held, 0))) for balance, held in codes]
