"""What messages say; no I/O.

The platform limits each kind of keyword: `amount` a currency sign and up to ten digits, `time` a date as people write
it, `thing` 20 characters, `character_string` 32 letters and digits. Source: mini-program documentation,
"订阅消息参数值内容限制".
"""

from __future__ import annotations

from datetime import datetime

from kernel.clock import SHANGHAI
from kernel.money import Money
from kernel.states import Product

THING_LENGTH_MAX = 20
PRODUCT_NAMES = {
    Product.GASOLINE_89: "89号汽油",
    Product.GASOLINE_92: "92号汽油",
    Product.GASOLINE_95: "95号汽油",
    Product.GASOLINE_98: "98号汽油",
    Product.DIESEL_0: "0号柴油",
}


def arrival_content(*, amount_fen: int, card_tail: str, arrived_at: datetime) -> dict[str, str]:
    return {"amount": f"¥{Money(amount_fen).yuan}", "card": card_tail, "time": _time(arrived_at)}


def price_content(*, zone_name: str, product: Product, milliyuan: int, effective_from: datetime) -> dict[str, str]:
    return {
        "zone": zone_name[:THING_LENGTH_MAX],
        "product": PRODUCT_NAMES[product],
        "price": f"¥{milliyuan // 1000}.{milliyuan % 1000 // 10:02d}",
        "time": _time(effective_from),
    }


def _time(moment: datetime) -> str:
    local = moment.astimezone(SHANGHAI)
    return f"{local.year}年{local.month}月{local.day}日 {local:%H:%M}"
