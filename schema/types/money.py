"""Money and unit prices as clients see them."""

from __future__ import annotations

from typing import Self

import strawberry

from kernel.money import Money as Amount
from schema.types.scalars import Fen


@strawberry.type(description="An amount of Chinese yuan (CNY).")
class Money:
    fen: Fen = strawberry.field(description="Integer fen; compute with this.")
    yuan: str = strawberry.field(description="Decimal yuan with two places, such as `500.00`.")
    text: str = strawberry.field(description="For people, such as `¥500.00`.")

    @classmethod
    def of(cls, amount: Amount) -> Self:
        return cls(fen=Fen(amount.fen), yuan=amount.yuan, text=amount.text)


@strawberry.type(description="A price per litre. Official prices may have thousandths of a yuan.")
class UnitPrice:
    milliyuan: int = strawberry.field(description="Thousandths of a yuan per litre; compute with this.")
    yuan: str = strawberry.field(description="Decimal yuan per litre with two places, or three where needed.")
    text: str = strawberry.field(description="For people, such as `¥8.46/L`.")

    @classmethod
    def of(cls, milliyuan: int) -> Self:
        whole, rest = divmod(milliyuan, 1000)
        yuan = f"{whole}.{rest // 10:02d}" if rest % 10 == 0 else f"{whole}.{rest:03d}"
        return cls(milliyuan=milliyuan, yuan=yuan, text=f"¥{yuan}/L")
