"""What a test may know of the statements that are read by the short way."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from models.reading import Way


def note_reads(monkeypatch: pytest.MonkeyPatch, found: list[str]) -> None:
    """Add the text of each statement that connections for reading alone are sent, where there are any."""
    read_only = Way.read_only
    if read_only is None:
        return

    def noted(text: str, arguments: Sequence[Any]) -> Coroutine[Any, Any, Any]:
        found.append(text)
        return read_only(text, arguments)

    monkeypatch.setattr(Way, "read_only", noted)
