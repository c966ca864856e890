"""Lines of code, and what the names in them are bound to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class NotGenerated(Exception):
    """There is something that generated code does not do."""


class Lines:
    def __init__(self, names: dict[str, Any]) -> None:
        self._lines: list[str] = []
        self._names = names
        self._indent = self._count = 0

    def line(self, text: str) -> None:
        self._lines.append("    " * self._indent + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.line(head)
        self._indent += 1
        yield
        self._indent -= 1

    def bind(self, prefix: str, value: Any) -> str:
        """Return a name for a value."""
        name = self.fresh(prefix)
        self._names[name] = value
        return name

    def fresh(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"
