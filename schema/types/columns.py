"""How PostgreSQL writes the attributes of rows as JSON (see `schema.types.rows.OfRow.columns`); {0} is the row."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from models import moments


class Column(NamedTuple):
    """An expression that is JSON; where it is `quoted`, a text that needs nothing but quotes to be that."""

    sql: str
    quoted: bool = False
    nullable: bool = False


def global_id(type_name: str) -> dict[str, Column]:
    """The global id of a row. Lines of base64 are broken only where they are longer than any of these."""
    text = f"rtrim(encode(convert_to('{type_name}:' || {{0}}.id, 'UTF8'), 'base64'), '=')"
    return {"id": Column(text, quoted=True)}


def cursor_of_id() -> dict[str, Column]:
    """The cursor of a row whose place is found by its id alone (`kernel.opaque.pack`), which makes no longer line."""
    text = """rtrim(encode(convert_to('["' || {0}.id || '"]', 'UTF8'), 'base64'), '=')"""
    return {"cursor": Column(text, quoted=True)}


def texts(*names: str) -> dict[str, Column]:
    return {name: Column(f"to_json({{0}}.{name})") for name in names}


def numbers(*names: str) -> dict[str, Column]:
    return {name: Column(f"{{0}}.{name}") for name in names}


def moment(name: str, column: str, *, nullable: bool = False) -> dict[str, Column]:
    return {name: Column(moments.shown(f"{{0}}.{column}"), quoted=True, nullable=nullable)}


def member(name: str, kind: type[StrEnum], *, nullable: bool = False) -> dict[str, Column]:
    """A member of an enum, which is kept by its value and shown by its name."""
    column = f"{{0}}.{name}"
    if not all(each.name == each.value for each in kind):
        cases = " ".join(f"WHEN '{each.value}' THEN '{each.name}'" for each in kind)
        column = f"CASE {column} {cases} END"
    return {name: Column(column, quoted=True, nullable=nullable)}
