"""Reading the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from domain.ledger.postings import customer_held, customer_prepaid
from kernel.money import Money
from models.lean import Statement, fetch

# An account has a row in each shard that has posted to it; a user's are in one.
BALANCES = Statement(
    postgres="SELECT code, balance_fen FROM ledger_account WHERE code = ANY($1::text[]) ORDER BY code, shard",
    sqlite="SELECT code, balance_fen FROM ledger_account WHERE code IN (SELECT value FROM json_each(?1)) "
    "ORDER BY code, shard",
)


async def balance(code: str) -> Money:
    """Return debits minus credits of an account over all shards; one that nobody has posted to holds nothing."""
    return (await balances([code]))[0]


async def balances(codes: Sequence[str]) -> list[Money]:
    """Return debits minus credits of each account over all shards, in one statement."""
    found = dict.fromkeys(codes, 0)
    for code, balance_fen in await fetch(BALANCES, list(found)):
        found[code] += balance_fen
    return [Money(found[code]) for code in codes]


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
