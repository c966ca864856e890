"""A method for each document.

Made by `make clients`; do not edit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from ..wire import Caller, new_key
from .enums import PaymentMethod, Product
from .inputs import LocationInput
from .arrivals import ARRIVALS, ArrivalsResult
from .bind_card import BIND_CARD, BindCardResult
from .cards import CARDS, Cards
from .create_recharge import CREATE_RECHARGE, CreateRechargeResult
from .delete_webhook import DELETE_WEBHOOK, DeleteWebhookResult
from .notices import NOTICES, Notices
from .order import ORDER, Order
from .order_updates import ORDER_UPDATES, OrderUpdatesResult
from .pay_recharge import PAY_RECHARGE, PayRechargeResult
from .price_changes import PRICE_CHANGES, PriceChangesResult
from .register_webhook import REGISTER_WEBHOOK, RegisterWebhookResult
from .send_test_webhook import SEND_TEST_WEBHOOK, SendTestWebhookResult
from .service_status import SERVICE_STATUS, ServiceStatus
from .stations import STATIONS, Stations
from .webhooks import WEBHOOKS, Webhooks


class Api(Caller):
    """What can be asked, by the names of the documents."""

    def arrivals(self, *, after: str | None = None) -> AsyncIterator[ArrivalsResult]:
        """到账通知: a notice the moment that money has arrived on a card."""
        return self.subscribe(ARRIVALS, {"after": after})

    async def bind_card(self, *, number: str) -> BindCardResult:
        """Bind a fuel card to the viewer. Binding it again returns it."""
        return await self.run(BIND_CARD, {"number": number})

    async def cards(self, *, first: int | None = None, after: str | None = None) -> Cards | None:
        """The signed-in user; null where nobody is signed in."""
        return await self.run(CARDS, {"first": first, "after": after})

    async def create_recharge(self, *, card: str, amount: str, key: str | None = None) -> CreateRechargeResult:
        """Order a recharge. It is paid in a second step. Without `key` it gets a new idempotency key."""
        return await self.run(CREATE_RECHARGE, {"card": card, "amount": amount, "key": key or new_key()})

    async def delete_webhook(self, *, webhook: str) -> DeleteWebhookResult:
        """Forget a webhook."""
        return await self.run(DELETE_WEBHOOK, {"webhook": webhook})

    async def notices(self, *, first: int | None = None, after: str | None = None) -> Notices:
        """到账通知 without a subscription: the viewer's arrivals, oldest first, with the same cursors."""
        return await self.run(NOTICES, {"first": first, "after": after})

    async def order(self, *, order: str) -> Order | None:
        """One order of the viewer, or any order for staff; null where there is none with this id."""
        return await self.run(ORDER, {"order": order})

    def order_updates(self, *, order: str, after: str | None = None) -> AsyncIterator[OrderUpdatesResult]:
        """The order as it is now, and again at every change."""
        return self.subscribe(ORDER_UPDATES, {"order": order, "after": after})

    async def pay_recharge(
        self, *, order: str, method: PaymentMethod | str | None = None, key: str | None = None
    ) -> PayRechargeResult:
        """Start to pay an order, or continue where it was started. Without `key` it gets a new idempotency key."""
        return await self.run(PAY_RECHARGE, {"order": order, "method": method, "key": key or new_key()})

    def price_changes(
        self, *, zone: str | None = None, product: Product | str | None = None, after: str | None = None
    ) -> AsyncIterator[PriceChangesResult]:
        """Every change of an official price, the moment it is in force."""
        return self.subscribe(PRICE_CHANGES, {"zone": zone, "product": product, "after": after})

    async def register_webhook(
        self,
        *,
        url: str,
        document: str | None = None,
        document_id: str | None = None,
        variables: dict[str, Any] | None = None,
        after: str | None = None,
    ) -> RegisterWebhookResult:
        """Have the events of a subscription sent to a URL. For tokens with the scope `webhooks`."""
        return await self.run(
            REGISTER_WEBHOOK,
            {"url": url, "document": document, "documentId": document_id, "variables": variables, "after": after},
        )

    async def send_test_webhook(self, *, webhook: str) -> SendTestWebhookResult:
        """Send one signed message of the type `webhook.test`, and wait for what becomes of it."""
        return await self.run(SEND_TEST_WEBHOOK, {"webhook": webhook})

    async def service_status(self) -> ServiceStatus:
        """How the service is: what a client obeys, and what is degraded."""
        return await self.run(SERVICE_STATUS, {})

    async def stations(
        self,
        *,
        near: LocationInput,
        radius: int | None = None,
        product: Product | str | None = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Stations:
        """Filling stations, nearest first or cheapest first."""
        return await self.run(
            STATIONS, {"near": near, "radius": radius, "product": product, "first": first, "after": after}
        )

    async def webhooks(
        self, *, first: int | None = None, after: str | None = None, deliveries: int | None = None
    ) -> Webhooks:
        """The viewer's webhooks, newest first. For tokens with the scope `webhooks`."""
        return await self.run(WEBHOOKS, {"first": first, "after": after, "deliveries": deliveries})
