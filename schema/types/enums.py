"""The enums of the schema; their values are the house's own words.

Types import them from here, since an enum that is used before it is described would get a second definition.
"""

from __future__ import annotations

from enum import StrEnum

import strawberry

from domain.stations.queries import StationSort
from kernel.states import CardBrand, FailureKind, OrderState, Product, RefundState, StationBrand

__all__ = ["CardBrand", "FailureKind", "OrderState", "Product", "RefundState", "StationBrand", "StationSort"]


def described(enum: type[StrEnum], name: str, description: str, values: dict[str, str]) -> None:
    """Register an enum with a description for each of its values; a value without one is a mistake."""
    missing = {member.name for member in enum} ^ values.keys()
    if missing:
        raise AssertionError(f"{name}: descriptions and values differ in {sorted(missing)}")
    strawberry.enum(enum, name=name, description=description)
    definition = enum.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values[value.name]


described(
    OrderState,
    "OrderState",
    "Where a recharge order stands.",
    {
        "PENDING_PAYMENT": "待支付: created, not yet being paid.",
        "PAYING": "支付中: a payment was started and is not settled.",
        "RECHARGING": "充值中: paid, on its way to the card.",
        "SUCCEEDED": "成功: the money is on the card.",
        "FAILED": "失败: there will be no recharge; `failureKind` says why, `refundState` where the money is.",
    },
)
described(
    FailureKind,
    "FailureKind",
    "Why an order failed.",
    {
        "UNPAID": "It was not paid in time.",
        "CANCELLED": "The user cancelled it before paying.",
        "ISSUER_REFUSED": "The card issuer refused to recharge the card; the money is refunded.",
    },
)
described(
    RefundState,
    "RefundState",
    "Where the money of a failed order is.",
    {
        "NONE": "Nothing is owed back.",
        "PROCESSING": "The refund is on its way by the route the money came.",
        "SUCCESS": "The money was paid back.",
        "ABNORMAL": "The channel could not pay it back; our staff take care of it.",
    },
)
described(
    CardBrand,
    "CardBrand",
    "Who issued a fuel card.",
    {"SINOPEC": "中石化加油卡", "PETROCHINA": "中石油昆仑加油卡"},
)
described(
    StationBrand,
    "StationBrand",
    "Whose sign stands at a station.",
    {
        "SINOPEC": "中国石化",
        "PETROCHINA": "中国石油",
        "CNOOC": "中国海油",
        "SHELL": "壳牌",
        "OTHER": "Another brand, or none.",
    },
)
described(
    Product,
    "Product",
    "A fuel of the official price notices.",
    {
        "GASOLINE_89": "89号汽油",
        "GASOLINE_92": "92号汽油",
        "GASOLINE_95": "95号汽油",
        "GASOLINE_98": "98号汽油",
        "DIESEL_0": "0号柴油",
    },
)
described(
    StationSort,
    "StationSort",
    "In which order stations are listed.",
    {
        "DISTANCE": "The nearest first.",
        "PRICE": "The cheapest first, then the nearest; stations without a price last. Needs `near` and `product`.",
    },
)
