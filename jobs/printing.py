"""Text that others wrote, as a terminal may show it."""

from __future__ import annotations

REASON_LENGTH_MAX = 200


def printable(text: str, *, length_max: int = REASON_LENGTH_MAX) -> str:
    """Return one line of bounded length: what a file or a person wrote must not steer the terminal."""
    line = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return line if len(line) <= length_max else line[:length_max] + "…"
