"""The corpus of utterances, and how well it is understood, as a table: `python -m tests.voice.accuracy` prints it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import cast

from domain.voice.intents import Intent, Understood, understand
from kernel.errors import Locale
from kernel.money import Money
from kernel.states import CardBrand, Product

CORPUS = Path(__file__).with_name("corpus.jsonl")
LOCALES: tuple[Locale, ...] = ("zh-CN", "en")


@dataclass(frozen=True, slots=True)
class Utterance:
    """What was said and what it means. `amount` is None where none is meant, or where it must be asked (`asks`)."""

    said: str
    locale: Locale
    intent: Intent
    amount: Money | None
    asks: bool
    brand: CardBrand | None
    product: Product | None
    written_for: str


@dataclass(frozen=True, slots=True)
class Outcome:
    utterance: Utterance
    understood: Understood

    @property
    def right_intent(self) -> bool:
        return self.understood.intent is self.utterance.intent

    @property
    def wrong_amount(self) -> bool:
        """An amount that was not meant; asking back is never wrong."""
        return self.understood.amount not in {None, self.utterance.amount}

    @property
    def asked_for_nothing(self) -> bool:
        return self.utterance.amount is not None and self.understood.amount is None


def read() -> list[Utterance]:
    return [_utterance(json.loads(line)) for line in CORPUS.read_text(encoding="utf-8").splitlines()]


def _utterance(row: dict[str, str]) -> Utterance:
    return Utterance(
        said=row["said"],
        locale=cast(Locale, row["locale"]),
        intent=Intent(row["intent"]),
        amount=Money.from_yuan(Decimal(row["amount"])) if row["amount"] else None,
        asks=bool(row["ask"]),
        brand=CardBrand(row["brand"]) if "brand" in row else None,
        product=Product(row["product"]) if "product" in row else None,
        written_for=row["set"],
    )


def outcomes(utterances: Iterable[Utterance]) -> list[Outcome]:
    return [Outcome(each, understand(each.said, locale=each.locale)) for each in utterances]


def accuracy(found: Iterable[Outcome]) -> float:
    right = [each.right_intent for each in found]
    return sum(right) / len(right)


def table(found: list[Outcome]) -> str:
    """Return the table in Markdown: each intent by language, and all of them."""
    lines = [
        "| intent | zh-CN | right | en | right | asked without need | wrong amounts |",
        "|---|---|---|---|---|---|---|",
    ]
    for intent in Intent:
        lines.append(_row(f"`{intent}`", [each for each in found if each.utterance.intent is intent]))
    return "\n".join([*lines, _row("all", found)])


def _row(name: str, found: list[Outcome]) -> str:
    cells = [name]
    for locale in LOCALES:
        of_locale = [each for each in found if each.utterance.locale == locale]
        cells += [str(len(of_locale)), f"{accuracy(of_locale):.1%}" if of_locale else "–"]
    cells += [str(sum(each.asked_for_nothing for each in found)), str(sum(each.wrong_amount for each in found))]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(table(outcomes(read())) + "\n")
