"""How PostgreSQL writes the attributes of rows as JSON (see `schema.types.rows.OfRow.columns`); {0} is the row."""

from __future__ import annotations

from enum import StrEnum

from models import moments


def global_id(type_name: str) -> dict[str, str]:
    """The global id of a row. Lines of base64 are broken only where they are longer than any of these."""
    return {"id": f"rtrim(encode(convert_to('{type_name}:' || {{0}}.id, 'UTF8'), 'base64'), '=')"}


def cursor_of_id() -> dict[str, str]:
    """The cursor of a row whose place is found by its id alone (`kernel.opaque.pack`), which makes no longer line."""
    return {"cursor": """rtrim(encode(convert_to('["' || {0}.id || '"]', 'UTF8'), 'base64'), '=')"""}


def same(*names: str) -> dict[str, str]:
    """Texts and numbers, which are shown as they are kept."""
    return {name: f"{{0}}.{name}" for name in names}


def shown(*names: str) -> dict[str, str]:
    return {name: moments.shown(f"{{0}}.{name}") for name in names}


def member(name: str, kind: type[StrEnum]) -> dict[str, str]:
    """A member of an enum, which is kept by its value and shown by its name."""
    column = f"{{0}}.{name}"
    if all(each.name == each.value for each in kind):
        return {name: column}
    cases = " ".join(f"WHEN '{each.value}' THEN '{each.name}'" for each in kind)
    return {name: f"CASE {column} {cases} END"}
