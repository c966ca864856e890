"""What every aggregator does in the same way; its requests, its words and its signature are in a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, Protocol, TypeVar
from uuid import UUID

import httpx

from domain.cards.ports import CardIssuer, IssuerBillLine, IssuerOrderState, RechargeFacts, RechargeRequest
from gateways.documents import Document, Malformed, text_or_none
from gateways.exchange import Answer
from gateways.issuer_answers import ask, attempt_of, facts, quoted_fen, unavailable
from gateways.issuer_bills import BillFormat, download
from kernel.states import CardBrand

Known = TypeVar("Known")


class Account(Protocol):
    """What a vendor knows us by."""

    @property
    def bills(self) -> BillFormat:
        """How the vendor writes the bills of this account."""


GivenAccount = TypeVar("GivenAccount", bound=Account)


class Aggregator(CardIssuer, Generic[GivenAccount]):
    """The common part; a vendor's class adds what it sells, in which steps, and how it is asked."""

    name: str
    notice_answer: str
    brands: Container[CardBrand]
    step_fen = 1

    def __init__(
        self,
        *,
        client: httpx.AsyncClient,
        account: GivenAccount,
        notify_url: str,
        prices: Mapping[str, int],
        timeout_s: float,
        bill_size_max_bytes: int,
    ) -> None:
        self._client, self._account, self._notify_url, self._prices = client, account, notify_url, prices
        self._timeout_s, self._bill_size_max_bytes = timeout_s, bill_size_max_bytes
        self._bills = account.bills

    def cost_fen(self, brand: CardBrand, amount_fen: int) -> int | None:
        """Return the cost of a multiple of the step, of the brands that have a product; None of all else."""
        if brand not in self.brands or amount_fen % self.step_fen:
            return None
        return quoted_fen(self._prices, brand, amount_fen)

    def read_bill(self, path: Path) -> Iterator[IssuerBillLine]:
        return self._bills.read(path)

    async def _answer(self, operation: str, build: Callable[[], httpx.Request], *, once: bool = False) -> Answer:
        return await ask(
            self._client, build, issuer=self.name, operation=operation, timeout_s=self._timeout_s, once=once
        )

    async def _download(self, build: Callable[[], httpx.Request], into: Path) -> None:
        await download(
            self._client,
            build,
            into=into,
            issuer=self.name,
            timeout_s=self._timeout_s,
            size_max_bytes=self._bill_size_max_bytes,
        )

    def _end(
        self, request: RechargeRequest, state: IssuerOrderState, answer: Document, *, code: str, reason: str
    ) -> RechargeFacts:
        """Return the end of a submission, told by the answer's members `code` and `reason`."""
        with self._reading("submit"):
            told = f"{answer[code]} {text_or_none(answer, reason) or ''}"
        return facts(request.attempt_id, state, amount_fen=request.amount_fen, reason=told)

    @contextmanager
    def _reading(self, operation: str) -> Iterator[None]:
        """Turn what cannot be read into IssuerUnavailable."""
        try:
            yield
        except Malformed as error:
            raise unavailable(self.name, operation, str(error)) from None


def ended_by(code: object, *, not_accepted: frozenset[object], refused: frozenset[object]) -> IssuerOrderState | None:
    """Return the end that a code is certain of, or None where the code says nothing for certain, or is none."""
    if not isinstance(code, str | int):
        return None
    if code in not_accepted:
        return IssuerOrderState.NOT_ACCEPTED
    return IssuerOrderState.REFUSED if code in refused else None


def assert_about(attempt_id: UUID, number: str, name: str) -> None:
    """Raise Malformed where the number that an answer names is another recharge's."""
    if attempt_of(number, name) != attempt_id:
        raise Malformed("an answer about another recharge")


def known(words: Mapping[str, Known], word: str, what: str) -> Known:
    """Return what a vendor's word means to us. Raises Malformed."""
    meant = words.get(word)
    if meant is None:
        raise Malformed(f"an unknown {what}")
    return meant
