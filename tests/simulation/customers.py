"""What customers do: order, pay in every way there is, change their minds, repeat themselves, and go away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from domain.identity.ports import FaceOutcome, FaceUnavailable
from domain.offers.rules import OfferSoldOut, OfferTakenAlready
from domain.orders import drafts, face_checks, operations, paying
from domain.orders.creating import PriceChanged, Wanted
from domain.orders.drafts import Draft
from domain.orders.face_checks import FaceCheckFailed, FaceCheckNotNeeded, FaceTokenInvalid, FaceTokenMissing
from domain.orders.operations import OrderNotCancellable, PaymentStateUnknown
from domain.orders.paying import OrderNotPayable, PaymentDeadlinePassed, StartedPayment
from domain.payments import top_ups
from domain.payments.operations import PaymentRefused, PaymentUnavailable
from domain.payments.payers import PayerUnknown
from domain.payments.ports import CHANNEL_OF
from domain.payments.wallet import WalletInsufficient
from domain.risk.rules import DailyLimitExceeded, TooManyUnpaidOrders, WalletTooFull
from kernel.states import OrderState, PaymentMethod, ReviewState
from models.offers import Offer
from models.orders import RechargeOrder
from tests.simulation.channels import SimulatedChannel, prepay_id_of
from tests.simulation.conduct import Conduct
from tests.simulation.fate import SeededFate
from tests.simulation.timeline import ProcessDied
from tests.simulation.world import Customer, World

TRIES_MAX = 6
BUSY = (PaymentUnavailable, PaymentStateUnknown, FaceUnavailable)
# What a customer is told now and then, and lives with.
REFUSALS = (
    DailyLimitExceeded,
    FaceCheckFailed,
    FaceCheckNotNeeded,
    FaceTokenInvalid,
    FaceTokenMissing,
    OfferSoldOut,
    OfferTakenAlready,
    OrderNotCancellable,
    OrderNotPayable,
    PayerUnknown,
    PaymentDeadlinePassed,
    PaymentRefused,
    PriceChanged,
    TooManyUnpaidOrders,
    WalletInsufficient,
    WalletTooFull,
)
T = TypeVar("T")


class GaveUp(Exception):
    """The customer was refused, or had no answer for too long."""


class Wish(StrEnum):
    """What a customer has in mind for one order."""

    PAY = "pays"
    PAY_SLOWLY = "pays just before the deadline or behind it"
    PAY_TOO_LATE = "pays what is closed already"
    PAY_WHILE_CANCELLING = "pays and cancels at once"
    CANCEL = "cancels"
    FORGET = "forgets the order"
    WALLET = "pays from the wallet"
    SWITCH = "begins to pay and takes the wallet then"
    CANCEL_WALLET = "pays from the wallet and cancels at once"


WISHES = {
    Wish.PAY: 60.0,
    Wish.PAY_SLOWLY: 4.0,
    Wish.PAY_TOO_LATE: 3.0,
    Wish.PAY_WHILE_CANCELLING: 4.0,
    Wish.CANCEL: 4.0,
    Wish.FORGET: 2.0,
    Wish.WALLET: 12.0,
    Wish.SWITCH: 3.0,
    Wish.CANCEL_WALLET: 2.0,
}
AMOUNTS_YUAN = {"50.00": 20.0, "100.00": 20.0, "200.01": 15.0, "500.00": 10.0, "2500.00": 3.0, "4999.99": 1.0}


@dataclass
class Customers:
    world: World
    fate: SeededFate
    conduct: Conduct
    orders_made: int = 0
    keys: int = 0
    busy: int = 0

    @property
    def all_gone(self) -> bool:
        """Whether nobody wants anything any more."""
        return self.busy == 0

    def start(self, customer: Customer, *, order_count: int, after_s: float) -> None:
        """Let a customer recharge so often, one order after the other mostly."""
        self._begin(lambda: self._live(customer, order_count), name=customer.openid, after_s=after_s)

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]], *, name: str, after_s: float = 0.0) -> None:
        self.busy += 1

        async def run() -> None:
            await work()
            self.busy -= 1

        self.world.timeline.start(run, name=name, after_s=after_s)

    async def _live(self, customer: Customer, order_count: int) -> None:
        for _ in range(order_count):
            recharge = self._quietly(lambda: self._recharge(customer))
            if self.fate.chance(0.25, "a customer makes orders side by side"):
                self._begin(recharge, name=customer.openid)
                await self.world.timeline.sleep(self.fate.about(60.0))
            else:
                await recharge()
                await self.world.timeline.sleep(self.fate.about(3 * 3_600.0))

    def _quietly(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], Coroutine[Any, Any, None]]:
        async def run() -> None:
            try:
                await work()
            except GaveUp as reason:
                self.fate.counts[f"a customer gives up: {reason}"] += 1

        return run

    async def _recharge(self, customer: Customer) -> None:
        wish = self.fate.pick(WISHES)
        self.fate.counts[f"a customer {wish}"] += 1
        order = await self._order(customer)
        self.orders_made += 1
        self.world.note(f"{customer.openid} has ordered {order.price_fen} fen, {order.id}, and {wish}")
        await self.world.timeline.sleep(self.fate.about(30.0))
        if wish is Wish.CANCEL:
            await self._cancel(customer, order)
        elif wish in {Wish.WALLET, Wish.CANCEL_WALLET}:
            await self._top_up(customer, order.price_fen)
            if wish is Wish.CANCEL_WALLET:
                self._beside(lambda: self._cancel(customer, order))
            await self._start(customer, order, PaymentMethod.WALLET)
        elif wish is not Wish.FORGET:
            await self._pay(customer, order, wish)

    async def _pay(self, customer: Customer, order: RechargeOrder, wish: Wish) -> None:
        by_alipay = self.fate.chance(0.2, "a customer has Alipay")
        started = await self._start(customer, order, PaymentMethod.ALIPAY if by_alipay else PaymentMethod.WECHAT_PAY)
        parameters = started.parameters or started.alipay
        if parameters is None:
            return
        prepay_id = prepay_id_of(parameters)
        channel = self._channel_of(prepay_id)
        if wish is Wish.PAY and self.fate.chance(0.02, "a channel closes what it was to be paid by"):
            self.conduct.close(channel, prepay_id)
            if self.fate.chance(0.5, "a bank is slow and pays what the channel has closed"):
                await self.world.timeline.sleep(self.fate.about(120.0))
                self.conduct.pay(channel, prepay_id, late=True)
            return
        if wish is Wish.SWITCH:
            await self._switch(customer, order, channel, prepay_id)
            return
        if wish is Wish.PAY_WHILE_CANCELLING:
            self._beside(lambda: self._cancel(customer, order))
        left_s = max(0.0, (order.pay_deadline_at - self.world.now).total_seconds())
        wait_s = self.fate.about({Wish.PAY_WHILE_CANCELLING: 0.1}.get(wish, 20.0))
        if wish is Wish.PAY_SLOWLY:
            wait_s = max(0.0, left_s + self.fate.within(-3.0, 0.5))
        elif wish is Wish.PAY_TOO_LATE:
            wait_s = left_s + self.fate.about(600.0)
        await self.world.timeline.sleep(wait_s)
        self.conduct.pay(channel, prepay_id, late=wish is Wish.PAY_TOO_LATE)

    async def _switch(
        self, customer: Customer, order: RechargeOrder, channel: SimulatedChannel, prepay_id: str
    ) -> None:
        """Take the wallet instead of what was begun, and be charged for both now and then."""
        if self.fate.chance(0.3, "a customer switches to another channel"):
            await self._change_channel(customer, order, channel)
        else:
            await self._top_up(customer, order.price_fen)
            self._beside(lambda: self._start(customer, order, PaymentMethod.WALLET))
        if self.fate.chance(0.3, "a customer pays while switching to the wallet"):
            await self.world.timeline.sleep(self.fate.about(0.1))
            self.conduct.pay(channel, prepay_id)
        elif self.fate.chance(0.5, "a bank is slow and pays what gave way to the wallet"):
            await self.world.timeline.sleep(self.fate.about(300.0))
            self.conduct.pay(channel, prepay_id, late=True)

    async def _change_channel(self, customer: Customer, order: RechargeOrder, begun: SimulatedChannel) -> None:
        """Pay by the channel that was not begun with, in a while."""
        begun_by_alipay = begun.name == CHANNEL_OF[PaymentMethod.ALIPAY]
        method = PaymentMethod.WECHAT_PAY if begun_by_alipay else PaymentMethod.ALIPAY

        async def pay() -> None:
            started = await self._start(customer, order, method)
            parameters = started.parameters or started.alipay
            if parameters:
                await self.world.timeline.sleep(self.fate.about(10.0))
                prepay_id = prepay_id_of(parameters)
                self.conduct.pay(self._channel_of(prepay_id), prepay_id)

        self._beside(pay)

    def _channel_of(self, prepay_id: str) -> SimulatedChannel:
        return next(channel for channel in self.world.channels if prepay_id in channel.by_prepay_id)

    async def _order(self, customer: Customer) -> RechargeOrder:
        card = self.fate.one_of(customer.cards)
        offer = self.fate.one_of(self.world.offers) if self.fate.chance(0.1, "an order takes an offer") else None
        yuan = None if offer else Decimal(self.fate.pick(AMOUNTS_YUAN))
        if self.fate.chance(0.05, "an order was drafted offline"):
            return await self._order_by_draft(customer, card.id, yuan, offer)
        wanted = Wanted(
            operation=operations.CREATE,
            key=self._key(),
            card_id=card.id,
            yuan=yuan,
            names_offer=offer is not None,
            offer_id=offer.id if offer else None,
        )
        return await self._ask_twice(
            lambda now: operations.create(viewer=customer.viewer, wanted=wanted, policy=self.world.policy, now=now)
        )

    async def _order_by_draft(
        self, customer: Customer, card_id: Any, yuan: Decimal | None, offer: Offer | None
    ) -> RechargeOrder:
        price = Decimal(offer.price_fen) / 100 if offer else yuan
        assert price is not None
        quoted = price + 1 if self.fate.chance(0.1, "a drafted price is out of date") else price
        draft = Draft(self._key(), card_id, yuan, offer is not None, offer.id if offer else None, quoted)
        (synced,) = await self._ask_twice(
            lambda now: drafts.sync(viewer=customer.viewer, drafts=[draft], policy=self.world.policy, now=now)
        )
        if synced.order is None:
            assert isinstance(synced.error, REFUSALS), synced.error
            raise GaveUp(type(synced.error).__name__)
        return synced.order

    async def _start(self, customer: Customer, order: RechargeOrder, method: PaymentMethod) -> StartedPayment:
        token = await self._face_token(customer, order)
        key = self._key()
        alternatives: tuple[PaymentMethod, ...] = ()
        if method is PaymentMethod.WECHAT_PAY and self.fate.chance(0.2, "a client can use both channels"):
            alternatives = (PaymentMethod.ALIPAY,)

        def pay(now: datetime) -> Coroutine[Any, Any, StartedPayment]:
            return paying.start_payment(
                viewer=customer.viewer,
                order_id=order.id,
                idempotency_key=key,
                channels=self.world.parties.channels,
                face=self.world.face,
                policy=self.world.policy,
                now=now,
                method=method,
                alternatives=alternatives,
                face_token=token,
                alipay_code=f"{customer.openid} {key}" if PaymentMethod.ALIPAY in (method, *alternatives) else None,
            )

        return await self._ask_twice(pay)

    async def _face_token(self, customer: Customer, order: RechargeOrder) -> str | None:
        if order.review_state is not ReviewState.REQUIRED or order.state is not OrderState.PENDING_PAYMENT:
            return None
        started = await self._ask(
            lambda now: face_checks.begin(
                viewer=customer.viewer,
                order_id=order.id,
                face=self.world.face,
                lifetime=self.world.policy.face_token_lifetime,
                now=now,
            )
        )
        await self.world.timeline.sleep(self.fate.about(20.0))
        failed = self.fate.chance(0.1, "a face is not the customer's")
        self.world.face.sessions[started.token].outcome = FaceOutcome.FAILED if failed else FaceOutcome.PASSED
        return started.token

    async def _cancel(self, customer: Customer, order: RechargeOrder) -> RechargeOrder:
        return await self._ask_twice(
            lambda now: operations.cancel(
                viewer=customer.viewer,
                order_id=order.id,
                channels=self.world.parties.channels,
                policy=self.world.policy,
                now=now,
            )
        )

    async def _top_up(self, customer: Customer, amount_fen: int) -> None:
        """Pay a little more than is needed into the wallet, or forget to."""
        key, yuan = self._key(), Decimal(min(500_000, amount_fen + 1_000)) / 100
        started = await self._ask_twice(
            lambda now: top_ups.start(
                viewer=customer.viewer,
                yuan=yuan,
                idempotency_key=key,
                channels=self.world.parties.channels,
                limits=self.world.policy.limits,
                pay_within=self.world.policy.pay_within,
                query_after=self.world.policy.payment_query_after,
                now=now,
            )
        )
        if started.parameters is None:
            return
        late = self.fate.chance(0.05, "a top-up is paid too late")
        await self.world.timeline.sleep(self.fate.about(3_600.0 if late else 10.0))
        prepay_id = started.parameters.package
        if not self.fate.chance(0.05, "a top-up is never paid"):
            self.conduct.pay(self._channel_of(prepay_id), prepay_id, late=late)
        await self.world.timeline.sleep(self.fate.about(20.0))

    def _key(self) -> str:
        self.keys += 1
        return f"key-{self.keys:08d}"

    def _beside(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        async def run() -> None:
            await work()

        self._begin(self._quietly(run), name="beside", after_s=self.fate.about(0.1))

    async def _ask_twice(self, make: Callable[[datetime], Coroutine[Any, Any, T]]) -> T:
        """Ask like a client whose button was pressed twice now and then."""
        if self.fate.chance(0.1, "a request is sent twice"):
            self._beside(lambda: self._ask(make))
        return await self._ask(make)

    async def _ask(self, make: Callable[[datetime], Coroutine[Any, Any, T]]) -> T:
        """Ask, and ask the same again where no answer comes. Raises GaveUp."""
        for _ in range(TRIES_MAX):
            away = self.fate.chance(0.02, "a client goes away")
            try:
                return await self.world.house.request(make, cancel_after_s=self.fate.about(0.2) if away else None)
            except (ProcessDied, asyncio.CancelledError, *BUSY):
                await self.world.timeline.sleep(self.fate.within(1.0, 8.0))
            except REFUSALS as error:
                raise GaveUp(type(error).__name__) from error
        raise GaveUp("no answer")
