"""Channels whose calls leave marks, and merchants that are reached by a second address where the first fails.

Only calls that are idempotent by their own number go on by another line, and all five are: the same merchant order is
made again or found, the same refund is asked for under its number. Another merchant is another matter (row 3 of the
table of order states).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar

from domain.payments import marks
from domain.payments.bills import BillLine
from domain.payments.health import Thresholds, line_name
from domain.payments.ports import (
    ChannelNotice,
    Channels,
    ChannelUnavailable,
    ClientParameters,
    Line,
    PaymentChannel,
    PrepayRequest,
    RefundFacts,
    RefundRequest,
    TradeFacts,
    merchant_name,
)
from kernel.clock import utc_now
from kernel.states import HealthMark, PaymentMethod

T = TypeVar("T")


def lines_of(channels: Channels) -> tuple[Line, ...]:
    """Return every address of every merchant, watched or not."""
    return tuple(line for route in channels.merchants for line in _lines_of(channels, route))


async def usable(*, channels: Channels, methods: Sequence[PaymentMethod]) -> list[PaymentChannel]:
    """Return the merchants that one of the methods pays, in their order, without those that are DOWN by every line.

    Where all are DOWN they are all returned: a payer who waits is better served by a try than by none.
    """
    routes = channels.by(methods)
    lines = [(route, [line.name for line in _lines_of(channels, route)]) for route in routes]
    found = await marks.of_lines(name for _, names in lines for name in names)
    up = [route for route, names in lines if any(found[name].mark is not HealthMark.DOWN for name in names)]
    return up or list(routes)


def watched(channels: Channels, thresholds: Thresholds, *, clock: Callable[[], datetime] = utc_now) -> Channels:
    """Return the channels with each merchant watched, its addresses behind one route."""
    routes = tuple(WatchedChannel(_lines_of(channels, route), thresholds, clock) for route in channels.merchants)
    return replace(channels, routes=routes)


def _lines_of(channels: Channels, merchant: PaymentChannel) -> tuple[Line, ...]:
    if isinstance(merchant, WatchedChannel):
        return merchant.lines
    name = merchant_name(merchant)
    addresses = [route for route in channels.routes if merchant_name(route) == name]
    return tuple(Line(line_name(name, ordinal), route) for ordinal, route in enumerate(addresses))


class WatchedChannel:
    """Implements `PaymentChannel` by the first line that is not DOWN, and by the others where that one fails."""

    def __init__(self, lines: tuple[Line, ...], thresholds: Thresholds, clock: Callable[[], datetime]) -> None:
        self.lines = lines
        self._first = lines[0].channel
        self._thresholds, self._clock = thresholds, clock

    @property
    def name(self) -> str:
        return self._first.name

    @property
    def app_id(self) -> str:
        return self._first.app_id

    @property
    def mchid(self) -> str:
        return self._first.mchid

    @property
    def sub_mchid(self) -> str:
        return self._first.sub_mchid

    async def prepay(self, request: PrepayRequest) -> str:
        return await self._ask(lambda channel: channel.prepay(request), restores=True)

    async def payment_parameters(self, *, prepay_id: str, now: datetime) -> ClientParameters:
        return await self._first.payment_parameters(prepay_id=prepay_id, now=now)

    async def query(self, out_trade_no: str) -> TradeFacts:
        return await self._ask(lambda channel: channel.query(out_trade_no))

    async def close(self, out_trade_no: str) -> None:
        await self._ask(lambda channel: channel.close(out_trade_no))

    async def refund(self, request: RefundRequest) -> RefundFacts:
        return await self._ask(lambda channel: channel.refund(request))

    async def query_refund(self, out_refund_no: str, *, out_trade_no: str | None = None) -> RefundFacts:
        return await self._ask(lambda channel: channel.query_refund(out_refund_no, out_trade_no=out_trade_no))

    async def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> ChannelNotice:
        return await self._first.open_notice(headers=headers, body=body, now=now)

    async def fetch_bill(self, *, day: date, into: Path) -> None:
        await self._ask(lambda channel: channel.fetch_bill(day=day, into=into))

    def read_bill(self, path: Path) -> Iterator[BillLine]:
        return self._first.read_bill(path)

    async def _ask(self, call: Callable[[PaymentChannel], Awaitable[T]], *, restores: bool = False) -> T:
        lines = await self._in_order()
        for line in lines[:-1]:
            try:
                return await self._by(line, call, restores)
            except ChannelUnavailable:
                continue
        return await self._by(lines[-1], call, restores)

    async def _by(self, line: Line, call: Callable[[PaymentChannel], Awaitable[T]], restores: bool) -> T:
        try:
            answer = await call(line.channel)
        except ChannelUnavailable:
            await marks.note_failure(line=line.name, thresholds=self._thresholds, now=self._clock())
            raise
        if restores:
            await marks.note_success(line=line.name, now=self._clock())
        return answer

    async def _in_order(self) -> list[Line]:
        """Return the lines, those that are DOWN behind the others."""
        if len(self.lines) == 1:
            return list(self.lines)
        found = await marks.of_lines(line.name for line in self.lines)
        return sorted(self.lines, key=lambda line: found[line.name].mark is HealthMark.DOWN)
