"""Money and unit prices as clients see them."""

from __future__ import annotations

from typing import Self

import strawberry

from domain.voice import spoken
from kernel.money import Money as Amount
from kernel.money import text_of_fen, yuan_of_fen
from schema.types import caching, columns, costs
from schema.types.context import Info
from schema.types.rows import OfRow
from schema.types.scalars import Fen
from schema.types.spoken import MaxChars, Speaking, locale_of

# As `kernel.money` has them.
SIGN, CENTS = "CASE WHEN {0} < 0 THEN '-' ELSE '' END", "lpad((abs({0}) % 100)::text, 2, '0')"


@strawberry.type(directives=[costs.FREE, caching.AS_ITS_PARENT], description="An amount of Chinese yuan (CNY).")
class Money(OfRow[int]):
    fen: Fen = strawberry.field(description="Integer fen; compute with this.")
    yuan: str = strawberry.field(description="Decimal yuan with two places, such as `500.00`.")
    text: str = strawberry.field(description="For people, such as `¥500.00`.")

    readers = {"fen": lambda fen: fen, "yuan": yuan_of_fen, "text": text_of_fen}
    value_of = int
    columns = {
        "fen": columns.Column("{0}"),
        "yuan": columns.Column(f"{SIGN} || abs({{0}}) / 100 || '.' || {CENTS}", quoted=True),
        "text": columns.Column(
            f"{SIGN} || '¥' || to_char(abs({{0}}) / 100, 'FM999,999,999,999,990') || '.' || {CENTS}", quoted=True
        ),
    }

    @classmethod
    def showing(cls, amount: Amount) -> Self:
        return cls.of(amount.fen)

    @strawberry.field(description="The whole amount in words, or in digits where only those fit; else null.")
    def spoken(self, info: Info, locale: Speaking = None, max_chars: MaxChars = 60) -> str | None:
        return spoken.money(Amount(self.fen), locale_of(info, locale), max_chars)


# As the function below has it.
YUAN_PER_LITRE = (
    "{0} / 1000 || '.' || CASE WHEN {0} % 10 = 0 THEN lpad(({0} % 1000 / 10)::text, 2, '0') "
    "ELSE lpad(({0} % 1000)::text, 3, '0') END"
)


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
    columns = {
        "milliyuan": columns.Column("{0}"),
        "yuan": columns.Column(YUAN_PER_LITRE, quoted=True),
        "text": columns.Column(f"'¥' || {YUAN_PER_LITRE} || '/L'", quoted=True),
    }
