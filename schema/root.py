"""The schema's table of contents. Each line names the function that answers it."""

from __future__ import annotations

import strawberry
from strawberry.schema.config import StrawberryConfig

from resolvers import cards, nodes, orders, prices, stations, viewer
from schema.extensions.documents import Schema
from schema.types.notices import ArrivalEvent, OrderEvent, PriceChangeEvent
from schema.types.orders import Order
from schema.types.payloads import BindCardPayload, CancelRechargePayload, CreateRechargePayload, PayRechargePayload
from schema.types.prices import PriceConnection
from schema.types.relay import Node
from schema.types.scalars import SCALARS
from schema.types.stations import Station, StationConnection
from schema.types.viewer import Viewer
from subscriptions import streams


@strawberry.type(description="What can be asked.")
class Query:
    viewer: Viewer | None = strawberry.field(
        resolver=viewer.viewer, description="The signed-in user; null where nobody is signed in."
    )
    station: Station | None = strawberry.field(
        resolver=stations.station, description="One filling station; null where there is none with this id."
    )
    stations: StationConnection = strawberry.field(
        resolver=stations.stations, description="Filling stations, nearest first or cheapest first."
    )
    prices: PriceConnection = strawberry.field(
        resolver=prices.prices, description="The official retail prices that are in force now."
    )
    order: Order | None = strawberry.field(
        resolver=orders.order, description="One order of the viewer; null where there is none with this id."
    )
    node: Node | None = strawberry.field(
        resolver=nodes.node, description="Any object by its id; null where there is none that the viewer may see."
    )


@strawberry.type(description="What can be done.")
class Mutation:
    bind_card: BindCardPayload = strawberry.field(
        resolver=cards.bind_card, description="Bind a fuel card to the viewer. Binding it again returns it."
    )
    create_recharge: CreateRechargePayload = strawberry.field(
        resolver=orders.create_recharge, description="Order a recharge. It is paid in a second step."
    )
    pay_recharge: PayRechargePayload = strawberry.field(
        resolver=orders.pay_recharge, description="Start to pay an order, or continue where it was started."
    )
    cancel_recharge: CancelRechargePayload = strawberry.field(
        resolver=orders.cancel_recharge, description="Cancel an order that is not paid."
    )


@strawberry.type(description="What can be listened to.")
class Subscription:
    arrivals: ArrivalEvent = strawberry.subscription(
        resolver=streams.arrivals, description="到账通知: a notice the moment that money has arrived on a card."
    )
    price_changes: PriceChangeEvent = strawberry.subscription(
        resolver=streams.price_changes, description="Every change of an official price, the moment it is in force."
    )
    order_updated: OrderEvent = strawberry.subscription(
        resolver=streams.order_updated, description="The order as it is now, and again at every change."
    )


def build() -> strawberry.Schema:
    """Return the executable schema."""

    return Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=False),
    )
