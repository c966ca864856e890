"""What the gateways of aggregators share: one question, MD5 over texts, yuan as they write it, and reasons to keep."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from uuid import UUID

import httpx

from domain.cards.ports import IssuerOrderState, IssuerUnavailable, RechargeFacts
from gateways.documents import AMOUNT_MAX_FEN, Malformed
from gateways.exchange import ATTEMPTS_MAX, Answer, Unsettled, exchange
from kernel.logs import get_logger
from kernel.states import CardBrand

BASIS_POINTS = 10_000
FEN_PER_YUAN = 100
REASON_LENGTH_MAX = 200
YUAN = re.compile(r"(\d{1,11})(?:\.(\d{1,2}))?", re.ASCII)
# Whatever looks like a number of a card or a phone stays out of reasons, which people and logs see.
LONG_NUMBER = re.compile(r"\d{6,}")

log = get_logger(__name__)


def md5_hex(text: str, *, encoding: str = "utf-8") -> str:
    """Return the MD5 that a vendor's protocol asks for, in lower case; it protects nothing else here."""
    return hashlib.md5(text.encode(encoding), usedforsecurity=False).hexdigest()


def same_signature(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())


def fen_of_yuan(text: str, name: str) -> int:
    """Read `500`, `500.0` or `500.00` yuan as fen. Raises Malformed."""
    found = YUAN.fullmatch(text)
    fen = int(found[1]) * FEN_PER_YUAN + int((found[2] or "").ljust(2, "0")) if found else AMOUNT_MAX_FEN + 1
    if fen > AMOUNT_MAX_FEN:
        raise Malformed(f"{name} is not an amount in yuan")
    return fen


def yuan_of_fen(amount_fen: int) -> str:
    return f"{amount_fen // FEN_PER_YUAN}.{amount_fen % FEN_PER_YUAN:02d}"


def attempt_of(text: str, name: str) -> UUID:
    """Read the number that we gave a recharge. Raises Malformed."""
    try:
        return UUID(text)
    except ValueError:
        raise Malformed(f"{name} is no number of ours") from None


def reason_of(text: str) -> str:
    return LONG_NUMBER.sub("***", text)[:REASON_LENGTH_MAX]


def quoted_fen(prices: Mapping[str, int], brand: CardBrand, amount_fen: int) -> int | None:
    """Return the cost by a price in basis points of the amount, rounded half up to a fen; None without a price."""
    basis_points = prices.get(brand.value)
    if basis_points is None:
        return None
    return (amount_fen * basis_points + BASIS_POINTS // 2) // BASIS_POINTS


def facts(
    attempt_id: UUID,
    state: IssuerOrderState,
    *,
    amount_fen: int = 0,
    issuer_order_id: str | None = None,
    cost_fen: int | None = None,
    reason: str = "",
) -> RechargeFacts:
    return RechargeFacts(attempt_id, state, issuer_order_id, amount_fen, cost_fen, reason_of(reason))


async def ask(
    client: httpx.AsyncClient,
    build: Callable[[], httpx.Request],
    *,
    issuer: str,
    operation: str,
    timeout_s: float,
    once: bool = False,
) -> Answer:
    """Send a question, `once` where sending it twice could matter, and return the answer. Raises IssuerUnavailable."""
    try:
        answer = await exchange(client, build, budget_s=timeout_s, attempts_max=1 if once else ATTEMPTS_MAX)
    except Unsettled as error:
        raise unavailable(issuer, operation, error.reason) from None
    if answer.refused:
        raise unavailable(issuer, operation, f"status {answer.status}")
    return answer


def unavailable(issuer: str, operation: str, reason: str) -> IssuerUnavailable:
    """Note that an answer settles nothing, and return the error to raise."""
    log.warning("issuer.unavailable", issuer=issuer, operation=operation, reason=reason)
    return IssuerUnavailable(f"{operation}: {reason}")
