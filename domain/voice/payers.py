"""Who pays what was confirmed by voice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.account.payment_passwords import PaymentPasswordNeeded
from domain.identity.ports import FaceVerifier
from domain.identity.viewer import Viewer
from domain.ledger.queries import wallet_balances
from domain.mandates import covering
from domain.mandates.rules import MandateCapExceeded, MandateCardNotAllowed, MandateNotActive
from domain.orders.choosing import PaymentMethodUnavailable
from domain.orders.paying import OrderNotPayable, PaymentDeadlinePassed, start_payment
from domain.orders.policy import Policy
from domain.payments.operations import PaymentRefused, PaymentUnavailable, TooManyPaymentAttempts
from domain.payments.payers import PayerUnknown
from domain.payments.ports import Channels
from domain.payments.wallet import WalletInsufficient
from domain.risk.rules import PayerNeeded, TooManyUnattended
from kernel.money import Money
from kernel.states import PaymentMethod, ReviewState
from models.orders import RechargeOrder

LEFT_TO_THE_USER = (
    PaymentPasswordNeeded,
    WalletInsufficient,
    OrderNotPayable,
    PaymentDeadlinePassed,
    TooManyPaymentAttempts,
    PaymentUnavailable,
    PaymentRefused,
    PaymentMethodUnavailable,
    PayerUnknown,
    MandateNotActive,
    MandateCardNotAllowed,
    MandateCapExceeded,
    PayerNeeded,
    TooManyUnattended,
)


class Payer(Protocol):
    """A way to pay an order without another gesture of the user."""

    async def pay(self, *, viewer: Viewer, order: RechargeOrder, key: str, now: datetime) -> RechargeOrder | None:
        """Return the order once it is paid, or None where it is left to the user. The key lets it happen once."""
        ...


@dataclass(frozen=True, slots=True)
class WalletPayer:
    """Pays from the viewer's wallet where that holds enough. A large order takes a face, so the user pays it.

    So do they where they have a payment password, which nobody says aloud.
    """

    channels: Channels
    face: FaceVerifier
    policy: Policy

    async def pay(self, *, viewer: Viewer, order: RechargeOrder, key: str, now: datetime) -> RechargeOrder | None:
        if order.review_state is ReviewState.REQUIRED:
            return None
        return await _pay(self, PaymentMethod.WALLET, viewer, order, key, now)


@dataclass(frozen=True, slots=True)
class MandatePayer:
    """Pays by the viewer's mandate, within its caps. The channel may still say no once it is asked."""

    channels: Channels
    face: FaceVerifier
    policy: Policy

    async def covers(self, *, viewer: Viewer, card_id: UUID, amount: Money, now: datetime) -> bool:
        """Return whether the mandate would pay what the wallet does not hold."""
        if self.channels.contracts is None:
            return False
        (balance,) = await wallet_balances([viewer.user_id])
        return balance < amount and await covering.covers(
            user_id=viewer.user_id, card_id=card_id, amount=amount, limits=self.policy.limits, now=now
        )

    async def pay(self, *, viewer: Viewer, order: RechargeOrder, key: str, now: datetime) -> RechargeOrder | None:
        return await _pay(self, PaymentMethod.MANDATE, viewer, order, key, now)


async def _pay(
    payer: WalletPayer | MandatePayer,
    method: PaymentMethod,
    viewer: Viewer,
    order: RechargeOrder,
    key: str,
    now: datetime,
) -> RechargeOrder | None:
    try:
        started = await start_payment(
            viewer=viewer,
            order_id=order.id,
            idempotency_key=key,
            channels=payer.channels,
            face=payer.face,
            policy=payer.policy,
            now=now,
            method=method,
        )
    except LEFT_TO_THE_USER:
        # The order stays as it is, and the answer says how the user can pay it.
        return None
    return started.order
