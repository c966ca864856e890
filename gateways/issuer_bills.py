"""Bills of card issuers: downloaded to a file, verified whole, and read line by line.

No vendor publishes the format of its bill, so each has the one of our contracts: CSV in the vendor's encoding, one
recharge a line (`our number, its number, SUCCEEDED or REVERSED, amount, cost`, in yuan with two decimals), and a last
line `TOTAL,count,sum of the costs,digest` in which a reversal counts against the sum, and the digest covers every byte
before that line and the secret that the vendor signs with.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import anyio
import httpx

from domain.cards.ports import IssuerBillLine, IssuerBillNotReady, IssuerBillRefused, IssuerOrderState
from gateways.documents import Malformed
from gateways.guard import DEADLINE
from gateways.issuer_answers import attempt_of, fen_of_yuan, same_signature, unavailable
from gateways.signing import SigningFailed

TOTAL = "TOTAL"
LINE_LENGTH_MAX_BYTES = 512
LINE_PARTS = 5
TOTAL_PARTS = 4
OK, NOT_FOUND = 200, 404
SIGNS = {IssuerOrderState.SUCCEEDED.value: 1, IssuerOrderState.REVERSED.value: -1}
# A bill is longer than an answer, so it may take as many times the patience.
PATIENCE_FACTOR = 60


@dataclass(frozen=True, slots=True)
class BillFormat:
    """How one issuer writes its bills: `digest` names the hash, and `secret` is hashed behind the lines."""

    secret: bytes = field(repr=False)
    encoding: str = "utf-8"
    digest: str = "md5"

    def read(self, path: Path) -> Iterator[IssuerBillLine]:
        """Verify the file whole, then give its lines; no more than one is held at a time. Raises IssuerBillRefused."""
        count, cost_fen = self._verify(path)
        with path.open("rb") as file:
            for _ in range(count):
                line = self._line(file.readline(LINE_LENGTH_MAX_BYTES))
                cost_fen -= SIGNS[line.state.value] * line.cost_fen
                yield line
        if cost_fen:
            raise IssuerBillRefused("the sum is not that of the lines")

    def _verify(self, path: Path) -> tuple[int, int]:
        hashed = hashlib.new(self.digest, usedforsecurity=False)
        count, last = -1, b""
        with path.open("rb") as file:
            for line in _lines(file):
                hashed.update(last)
                count, last = count + 1, line
        hashed.update(self.secret)
        parts = self._parts(last, TOTAL_PARTS)
        if parts[0] != TOTAL or not same_signature(hashed.hexdigest(), parts[3].lower()):
            raise IssuerBillRefused("cut off or altered")
        if parts[1] != str(count):
            raise IssuerBillRefused("the count is not that of the lines")
        return count, self._fen(parts[2].removeprefix("-"), "the sum") * (-1 if parts[2].startswith("-") else 1)

    def _line(self, line: bytes) -> IssuerBillLine:
        number, issuer_order_id, state, amount, cost = self._parts(line, LINE_PARTS)
        if state not in SIGNS or not issuer_order_id:
            raise IssuerBillRefused("a line with an unknown state or without a number")
        try:
            attempt_id = attempt_of(number, "a line's number")
        except Malformed as error:
            raise IssuerBillRefused(str(error)) from None
        return IssuerBillLine(
            attempt_id=attempt_id,
            issuer_order_id=issuer_order_id,
            state=IssuerOrderState(state),
            amount_fen=self._fen(amount, "an amount"),
            cost_fen=self._fen(cost, "a cost"),
        )

    def _parts(self, line: bytes, count: int) -> list[str]:
        try:
            parts = line.decode(self.encoding).rstrip("\r\n").split(",")
        except UnicodeDecodeError:
            raise IssuerBillRefused("a line in another encoding") from None
        if len(parts) != count or not line.endswith(b"\n"):
            raise IssuerBillRefused("cut off, or a line with other parts")
        return parts

    @staticmethod
    def _fen(text: str, name: str) -> int:
        try:
            return fen_of_yuan(text, name)
        except Malformed as error:
            raise IssuerBillRefused(str(error)) from None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(LINE_LENGTH_MAX_BYTES):
        if not line.endswith(b"\n"):
            raise IssuerBillRefused("cut off, or a line that is too long")
        yield line


async def download(
    client: httpx.AsyncClient,
    build: Callable[[], httpx.Request | Awaitable[httpx.Request]],
    *,
    into: Path,
    issuer: str,
    timeout_s: float,
    size_max_bytes: int,
) -> None:
    """Write the answer's body to a file. Raises IssuerUnavailable, IssuerBillNotReady or IssuerBillRefused."""
    try:
        async with asyncio.timeout(timeout_s * PATIENCE_FACTOR):
            built = build()
            request = await built if inspect.isawaitable(built) else built
            request.extensions[DEADLINE] = asyncio.get_running_loop().time() + timeout_s * PATIENCE_FACTOR
            response = await client.send(request, stream=True)
            try:
                if response.status_code == NOT_FOUND:
                    raise IssuerBillNotReady(issuer)
                if response.status_code != OK:
                    raise unavailable(issuer, "bill", f"status {response.status_code}")
                await _write(response, into, size_max_bytes)
            finally:
                await response.aclose()
    except (TimeoutError, httpx.HTTPError) as error:
        raise unavailable(issuer, "bill", type(error).__name__) from None
    except SigningFailed as error:
        raise unavailable(issuer, "bill", str(error)) from None


async def _write(response: httpx.Response, into: Path, size_max_bytes: int) -> None:
    size = 0
    async with await anyio.open_file(into, "wb") as file:
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > size_max_bytes:
                raise IssuerBillRefused("too large")
            await file.write(chunk)
