"""Ariadne as a server: the SDL, resolvers of what is no attribute of its row, and `ariadne.asgi.GraphQL`."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from ariadne import (
    EnumType,
    InterfaceType,
    MutationType,
    ObjectType,
    QueryType,
    ScalarType,
    SchemaBindable,
    UnionType,
    make_executable_schema,
)
from ariadne.asgi import GraphQL
from graphql import GraphQLResolveInfo
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from bench.peers import records
from bench.peers.records import Refused, global_id, moment_text, unit_yuan
from domain.identity.tokens import TokenAuthority
from kernel.money import Money
from kernel.states import Product
from models.cards import FuelCard
from models.identity import User
from models.orders import RechargeOrder
from models.pricing import Price, PriceZone
from models.stations import Station

Info = GraphQLResolveInfo[records.Context]

SDL = Path(__file__).with_name("schema.graphql")

query, mutation = QueryType(), MutationType()
station, zone, price = ObjectType("Station"), ObjectType("PriceZone"), ObjectType("Price")
viewer, order, card, profile = ObjectType("Viewer"), ObjectType("Order"), ObjectType("Card"), ObjectType("Profile")
payload = UnionType("CreateRechargePayload", lambda value, *_: value["__typename"])
user_error = InterfaceType("UserError", lambda value, *_: value["__typename"])
BINDABLES: list[SchemaBindable] = [
    query, mutation, station, zone, price, viewer, order, card, profile, payload, user_error,
    EnumType("Product", Product), ScalarType("DateTime", serializer=moment_text),
    ScalarType("Yuan", serializer=str, value_parser=Decimal),
]  # fmt: skip


def money(fen: int) -> dict[str, Any]:
    amount = Money(fen)
    return {"fen": fen, "yuan": amount.yuan, "text": amount.text}


@query.field("station")
async def resolve_station(_: object, _info: Info, *, id: str) -> Station | None:
    return await records.station_by_id(id)


@query.field("stations")
async def resolve_stations(
    _: object, _info: Info, *, near: dict[str, float], radius: int, first: int
) -> dict[str, Any]:
    nearest = await records.nearest(
        latitude=near["latitude"], longitude=near["longitude"], radius_m=radius, first=first
    )
    return {
        "edges": [{"distance": distance, "node": row} for distance, row in nearest.found],
        "page_info": {"has_next_page": nearest.has_more},
    }


@query.field("viewer")
async def resolve_viewer(_: object, info: Info) -> User | None:
    return await records.user_by_id(info.context.user_id)


@station.field("id")
def resolve_station_id(row: Station, _info: Info) -> str:
    return global_id("Station", row.id)


@station.field("location")
def resolve_location(row: Station, _info: Info) -> Station:
    return row


@station.field("zone")
async def resolve_zone(row: Station, info: Info) -> PriceZone | None:
    return await info.context.zones.load(row.zone_id) if row.zone_id else None


@station.field("prices")
async def resolve_prices(row: Station, info: Info) -> list[Price]:
    return await info.context.prices.load(row.zone_id) if row.zone_id else []


@zone.field("id")
def resolve_zone_id(row: PriceZone, _info: Info) -> str:
    return global_id("PriceZone", row.id)


@price.field("id")
def resolve_price_id(row: Price, _info: Info) -> str:
    return global_id("Price", row.id)


@price.field("unitPrice")
def resolve_unit_price(row: Price, _info: Info) -> dict[str, Any]:
    yuan = unit_yuan(row.milliyuan_per_litre)
    return {"milliyuan": row.milliyuan_per_litre, "yuan": yuan, "text": f"¥{yuan}/L"}


@viewer.field("profile")
def resolve_profile(row: User, _info: Info) -> User:
    return row


@profile.field("id")
def resolve_profile_id(row: User, _info: Info) -> str:
    return global_id("Profile", row.id)


@viewer.field("wallet")
async def resolve_wallet(row: User, _info: Info) -> dict[str, Any]:
    return {"balance": money(await records.balance_fen_of(row.id))}


@viewer.field("orders")
async def resolve_orders(row: User, _info: Info, *, first: int) -> dict[str, Any]:
    rows, has_more = await records.orders_of(row.id, first)
    return {"edges": [{"node": each} for each in rows], "page_info": {"has_next_page": has_more}}


@order.field("id")
def resolve_order_id(row: RechargeOrder, _info: Info) -> str:
    return global_id("Order", row.id)


@order.field("amount")
def resolve_amount(row: RechargeOrder, _info: Info) -> dict[str, Any]:
    return money(row.amount_fen)


@order.field("card")
async def resolve_card(row: RechargeOrder, info: Info) -> FuelCard:
    found: FuelCard = await info.context.cards.load(row.card_id)
    return found


@card.field("id")
def resolve_card_id(row: FuelCard, _info: Info) -> str:
    return global_id("Card", row.id)


@card.field("maskedNumber")
def resolve_masked_number(row: FuelCard, _info: Info) -> str:
    return f"**** {row.number_tail}"


@mutation.field("createRecharge")
async def resolve_create_recharge(_: object, info: Info, *, input: dict[str, Any]) -> dict[str, Any]:
    made = await records.create_recharge(
        user_id=info.context.user_id,
        card_id=input["card_id"],
        amount_fen=int(input["amount"] * 100),
        idempotency_key=input["idempotency_key"],
    )
    if isinstance(made, Refused):
        return {"__typename": "RechargeRefused", "code": made.code, "message": made.message}
    return {"__typename": "CreateRechargeSuccess", "order": made}


profile.set_alias("registeredAt", "created_at")


def routes(tokens: TokenAuthority) -> list[BaseRoute]:
    schema = make_executable_schema(SDL.read_text("utf-8"), *BINDABLES, convert_names_case=True)

    def context(request: Request, _data: object) -> records.Context:
        return records.context_of(tokens, request.headers.get("authorization", ""))

    return [Route("/graphql", GraphQL(schema, context_value=context, explorer=None))]


if __name__ == "__main__":
    records.serve(routes)
