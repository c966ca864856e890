"""The text form in which callbacks wait in the inbox."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from domain.cards.ports import RechargeFacts
from domain.payments.contracts import ContractFacts, DeductionFacts
from domain.payments.ports import RefundFacts, TradeFacts

Facts = TradeFacts | RefundFacts | RechargeFacts | ContractFacts | DeductionFacts
ADAPTERS: dict[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind) for kind in (TradeFacts, RefundFacts, RechargeFacts, ContractFacts, DeductionFacts)
}


def to_row(facts: Facts) -> dict[str, Any]:
    kind = type(facts).__name__
    return {"kind": kind, "facts": ADAPTERS[kind].dump_python(facts, mode="json")}


def from_row(row: dict[str, Any]) -> Facts:
    """Raises KeyError or pydantic's ValidationError where the row was not written by `to_row`."""
    found: Facts = ADAPTERS[row["kind"]].validate_python(row["facts"])
    return found
