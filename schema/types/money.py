"""Money and unit prices as clients see them."""

from __future__ import annotations

from typing import Self

import strawberry

from domain.voice import spoken
from kernel.money import Money as Amount
from kernel.money import text_of_fen, yuan_of_fen
from schema.types import caching, costs
from schema.types.context import Info
from schema.types.rows import OfRow
from schema.types.scalars import Fen
from schema.types.spoken import MaxChars, Speaking, locale_of


@strawberry.type(directives=[costs.FREE, caching.AS_ITS_PARENT], description="An amount of Chinese yuan (CNY).")
class Money(OfRow[int]):
    fen: Fen = strawberry.field(description="Integer fen; compute with this.")
    yuan: str = strawberry.field(description="Decimal yuan with two places, such as `500.00`.")
    text: str = strawberry.field(description="For people, such as `¥500.00`.")

    readers = {"fen": lambda fen: fen, "yuan": yuan_of_fen, "text": text_of_fen}
    value_of = int
    columns = {
        "fen": "{0}",
        "yuan": "to_char({0} * 0.01, 'FM999999999999990.00')",
        "text": "CASE WHEN {0} < 0 THEN '-¥' ELSE '¥' END || to_char(abs({0}) * 0.01, 'FM999,999,999,999,990.00')",
    }

    @classmethod
    def showing(cls, amount: Amount) -> Self:
        return cls.of(amount.fen)

    @strawberry.field(description="The whole amount in words, or in digits where only those fit; else null.")
    def spoken(self, info: Info, locale: Speaking = None, max_chars: MaxChars = 60) -> str | None:
        return spoken.money(Amount(self.fen), locale_of(info, locale), max_chars)


# As the function below has it.
YUAN_PER_LITRE = "to_char({0} * 0.001, CASE WHEN {0} % 10 = 0 THEN 'FM999999999990.00' ELSE 'FM999999999990.000' END)"


def yuan_of(milliyuan: int) -> str:
    """Return thousandths of a yuan as yuan with two places, or three where needed."""
    whole, rest = divmod(milliyuan, 1000)
    return f"{whole}.{rest // 10:02d}" if rest % 10 == 0 else f"{whole}.{rest:03d}"


@strawberry.type(
    directives=[costs.FREE, caching.AS_ITS_PARENT],
    description="A price per litre. Official prices may have thousandths of a yuan.",
)
class UnitPrice(OfRow[int]):
    milliyuan: int = strawberry.field(description="Thousandths of a yuan per litre; compute with this.")
    yuan: str = strawberry.field(description="Decimal yuan per litre with two places, or three where needed.")
    text: str = strawberry.field(description="For people, such as `¥8.46/L`.")

    readers = {
        "milliyuan": lambda milliyuan: milliyuan,
        "yuan": yuan_of,
        "text": lambda milliyuan: f"¥{yuan_of(milliyuan)}/L",
    }
    value_of = int
    columns = {"milliyuan": "{0}", "yuan": YUAN_PER_LITRE, "text": f"'¥' || {YUAN_PER_LITRE} || '/L'"}
