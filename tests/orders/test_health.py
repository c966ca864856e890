"""Failover by health, end to end: what fails is marked, others are chosen, and a probe brings it back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from domain.orders import choosing
from domain.payments import marks
from domain.payments.health import HEALTHY, Thresholds
from domain.payments.operations import PaymentUnavailable
from domain.payments.ports import Channels, ChannelUnavailable, PaymentChannel
from domain.payments.watching import lines_of, watched
from jobs import channels as channel_jobs
from jobs.channels import ChannelWork
from jobs.worker import Worker
from kernel.clock import utc_now
from kernel.settings import Settings
from kernel.states import HealthMark, OrderState, PaymentMethod, PaymentState
from models.jobs import Job
from models.payments import ChannelHealth, PaymentAttempt
from tests.gateways.stand_ins import create_prepay
from tests.orders.conftest import House, open_house
from tests.orders.test_routes import attempts
from tests.sandbox_fixtures import Sandbox

SETTINGS = Settings(channel_suspect_failures=1, channel_down_failures=2, channel_probe_interval_s=0.05)
RULES = Thresholds.of(SETTINGS)
MAIN, BACKUP = "1900000209", "1900000210"


@dataclass
class Cut:
    """A line that can be cut, and that counts what goes over it."""

    channel: PaymentChannel
    is_cut: bool = False
    asked: int = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.channel, name)
        return self._counted(found) if name in {"prepay", "query", "close", "refund", "query_refund"} else found

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def ask(*args: Any, **options: Any) -> Any:
            self.asked += 1
            if self.is_cut:
                raise ChannelUnavailable("cut")
            return await call(*args, **options)

        return ask


@pytest.fixture
async def house(database: str, sandbox: Sandbox) -> AsyncIterator[House]:
    """A house whose circuit breakers rest for less time than a line does between two probes."""
    async with open_house(sandbox, third_party_pause_s=0.02) as house:
        yield house


@pytest.fixture
def watching_house(house: House) -> House:
    return house.on(watched(house.third_parties.channels, RULES))


async def mark_of(line: str) -> HealthMark:
    return (await marks.of_lines([line]))[line].mark


async def probe(channels: Channels) -> None:
    """Run the recurring work as the worker does."""
    work = ChannelWork(SETTINGS, channels)
    worker = Worker(work.recurring(), SETTINGS, recurring=list(work.recurring()))
    await Job.filter(kind="probe_channels").update(due_at=utc_now())
    await asyncio.sleep(SETTINGS.channel_probe_interval_s * 1.2)
    worker.start()
    before = {row.line: row.version for row in await ChannelHealth.filter(mark=HealthMark.DOWN)}
    try:
        for _ in range(500):
            if not await ChannelHealth.filter(line__in=list(before), version__in=list(before.values())).exists():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("nobody has probed")
    finally:
        await worker.stop()


async def test_a_dead_route_gives_way_and_comes_back_without_a_restart(watching_house: House) -> None:
    house, main = watching_house, f"wechat_pay:{MAIN}"
    house.sandbox.faults(**{f"payment:{MAIN}": "error_500"})
    first = await house.order("100.00")
    with pytest.raises(PaymentUnavailable):
        await house.start_payment(first)
    assert await mark_of(main) is HealthMark.DOWN
    order = await house.order()
    house.pay(await house.start_payment(order))
    assert await attempts(order) == [(BACKUP, PaymentState.OPEN)]
    await house.work_until_state(order.id, OrderState.SUCCEEDED)
    # What may have been sent by the dead route stays with it.
    assert await attempts(first) == [(MAIN, PaymentState.OPEN)]
    await probe(house.third_parties.channels)
    assert await mark_of(main) is HealthMark.DOWN
    house.sandbox.clear_faults()
    await probe(house.third_parties.channels)
    assert await mark_of(main) is HealthMark.SUSPECT
    another = await house.order()
    await house.start_payment(another)
    assert await attempts(another) == [(MAIN, PaymentState.OPEN)]
    assert await mark_of(main) is HealthMark.HEALTHY


async def test_a_probe_moves_no_money_and_makes_no_order(watching_house: House) -> None:
    house, channels = watching_house, watching_house.third_parties.channels
    for _ in range(2):
        await marks.note_failure(line=f"wechat_pay:{MAIN}", thresholds=RULES, now=utc_now() - timedelta(seconds=5))
    before = [payment["out_trade_no"] for payment in house.sandbox.state()["payments"]]
    await marks.probe(lines=lines_of(channels), thresholds=RULES, clock=utc_now)
    assert await mark_of(f"wechat_pay:{MAIN}") is HealthMark.SUSPECT
    assert [payment["out_trade_no"] for payment in house.sandbox.state()["payments"]] == before
    assert await PaymentAttempt.all().count() == 0


async def test_what_is_not_down_is_not_probed(house: House) -> None:
    lines = [Cut(route) for route in house.third_parties.channels.routes]
    channels = Channels(tuple(lines))
    await marks.note_failure(line=f"wechat_pay:{MAIN}", thresholds=RULES, now=utc_now())
    await marks.probe(lines=lines_of(channels), thresholds=RULES, clock=utc_now)
    assert [line.asked for line in lines] == [0, 0, 0]


async def test_a_query_that_is_answered_restores_nothing(watching_house: House) -> None:
    """A channel that answers queries and makes no orders is of no use to a payer."""
    house, main = watching_house, f"wechat_pay:{MAIN}"
    house.sandbox.faults(**{f"payment:{MAIN}": "prepay_error_500"})
    for _ in range(2):
        order = await house.order("50.00")
        await house.start_payment(order)
        assert (await attempts(order))[-1] == (BACKUP, PaymentState.OPEN)
    assert await mark_of(main) is HealthMark.DOWN


class TestSecondAddress:
    @pytest.fixture
    def lines(self, house: House) -> tuple[Cut, Cut]:
        main = house.third_parties.channels.main
        return Cut(main), Cut(main)

    @pytest.fixture
    def by_two(self, house: House, lines: tuple[Cut, Cut]) -> House:
        channels = Channels((*lines, *house.third_parties.channels.routes[1:]))
        return house.on(watched(channels, RULES))

    async def test_the_same_attempt_goes_on_by_it(self, by_two: House, lines: tuple[Cut, Cut]) -> None:
        first, second = lines
        first.is_cut = True
        order = await by_two.order()
        by_two.pay(await by_two.start_payment(order))
        # One attempt, one merchant: nothing had to be closed.
        assert await attempts(order) == [(MAIN, PaymentState.OPEN)]
        await by_two.work_until_state(order.id, OrderState.SUCCEEDED)
        assert second.asked > 0
        assert await mark_of(f"wechat_pay:{MAIN}") in {HealthMark.SUSPECT, HealthMark.DOWN}
        assert await mark_of(f"wechat_pay:{MAIN}#2") is HealthMark.HEALTHY

    async def test_what_is_down_is_not_asked_first_and_its_merchant_stays(
        self, by_two: House, lines: tuple[Cut, Cut]
    ) -> None:
        first, _ = lines
        first.is_cut = True
        for _ in range(2):
            await by_two.third_parties.channels.main.prepay(create_prepay())
        asked = first.asked
        order = await by_two.order()
        await by_two.start_payment(order)
        assert (first.asked, await attempts(order)) == (asked, [(MAIN, PaymentState.OPEN)])
        first.is_cut = False
        await probe(by_two.third_parties.channels)
        await by_two.third_parties.channels.main.prepay(create_prepay())
        assert first.asked == asked + 2
        assert await mark_of(f"wechat_pay:{MAIN}") is HealthMark.HEALTHY

    async def test_a_merchant_is_down_by_every_line_only(self, by_two: House, lines: tuple[Cut, Cut]) -> None:
        channels = by_two.third_parties.channels
        accepted, user_id = [PaymentMethod.WECHAT_PAY], by_two.viewer.user_id

        async def merchants() -> list[str]:
            found = await choosing.routes_of(user_id=user_id, accepted=accepted, channels=channels)
            return [route.sub_mchid for route in found]

        for _ in range(2):
            await marks.note_failure(line=f"wechat_pay:{MAIN}", thresholds=RULES, now=utc_now())
        assert await merchants() == [MAIN, BACKUP]
        for _ in range(2):
            await marks.note_failure(line=f"wechat_pay:{MAIN}#2", thresholds=RULES, now=utc_now())
        assert await merchants() == [BACKUP]
        for _ in range(2):
            await marks.note_failure(line=f"wechat_pay:{BACKUP}", thresholds=RULES, now=utc_now())
        # A payer who waits is better served by a try than by none.
        assert await merchants() == [MAIN, BACKUP]
        del lines

    async def test_a_refusal_is_an_answer(self, by_two: House, lines: tuple[Cut, Cut]) -> None:
        first, second = lines
        request = create_prepay()
        channel = by_two.third_parties.channels.main
        await channel.prepay(request)
        with pytest.raises(Exception, match="OUT_TRADE_NO_USED"):
            await channel.prepay(replace(request, amount_fen=1))
        assert (first.asked, second.asked) == (2, 0)
        assert await marks.of_lines([f"wechat_pay:{MAIN}"]) == {f"wechat_pay:{MAIN}": HEALTHY}


async def test_the_status_is_shown(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    del database
    assert await channel_jobs.show(as_json=False) == 0
    assert capsys.readouterr().out == "no line has ever failed\n"
    for _ in range(2):
        await marks.note_failure(line="alipay:2088", thresholds=RULES, now=utc_now())
    # What is logged of the marks is not what is shown.
    capsys.readouterr()
    await channel_jobs.show(as_json=True)
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["line"], shown["mark"], shown["failures"]) == ("alipay:2088", "DOWN", 2)
    await channel_jobs.show(as_json=False)
    assert "alipay:2088  DOWN" in capsys.readouterr().out
    assert await Job.all().count() == 0
