"""Reading the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from tortoise.functions import Sum

from domain.ledger.postings import customer_held, customer_prepaid
from kernel.money import Money
from models.ledger import LedgerAccount


async def balance(code: str) -> Money:
    """Return debits minus credits of an account over all shards; one that nobody has posted to holds nothing."""
    return (await balances([code]))[0]


async def balances(codes: Sequence[str]) -> list[Money]:
    """Return debits minus credits of each account over all shards, in one statement."""
    rows = (
        await LedgerAccount.filter(code__in=set(codes))
        .annotate(total_fen=Sum("balance_fen"))
        .group_by("code")
        .values_list("code", "total_fen")
    )
    found = {str(code): int(total_fen) for code, total_fen in rows}
    return [Money(found.get(code, 0)) for code in codes]


async def wallet_balances(user_ids: Sequence[UUID]) -> list[Money]:
    """Return what the service holds for each user: a liability, so its credit balance."""
    return [-held for held in await balances([customer_prepaid(user_id) for user_id in user_ids])]


async def wallet_held(user_ids: Sequence[UUID]) -> list[Money]:
    """Return what each user's orders have set aside out of the wallet and not yet taken."""
    return [-held for held in await balances([customer_held(user_id) for user_id in user_ids])]


async def wallets(user_ids: Sequence[UUID]) -> list[tuple[Money, Money]]:
    """Return what each user can spend, and what is set aside for orders that are being paid."""
    codes = [code(user_id) for user_id in user_ids for code in (customer_prepaid, customer_held)]
    found = [-money for money in await balances(codes)]
    return list(zip(found[::2], found[1::2], strict=True))
