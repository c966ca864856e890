"""How an enum of the house becomes one of the schema."""

from __future__ import annotations

from enum import StrEnum

import strawberry

from schema.types.annotations import quicken_annotations

# Enums are loaded before the types that have fields of them.
quicken_annotations()


def described(enum: type[StrEnum], name: str, description: str, values: dict[str, str]) -> None:
    """Register an enum with a description for each of its values; a value without one is a mistake."""
    missing = {member.name for member in enum} ^ values.keys()
    if missing:
        raise AssertionError(f"{name}: descriptions and values differ in {sorted(missing)}")
    strawberry.enum(enum, name=name, description=description)
    definition = enum.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values[value.name]
