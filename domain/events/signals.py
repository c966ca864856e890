"""Telling the relays of this process that a transaction with events has committed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

_listeners: set[asyncio.Event] = set()


def notify() -> None:
    """Wake everybody who listens in this process. Appending an event arranges this for the moment of its commit."""
    for listener in _listeners:
        listener.set()


@contextmanager
def listening() -> Iterator[asyncio.Event]:
    """Give an event that is set after each commit; whoever waits on it clears it first and looks at the table then."""
    listener = asyncio.Event()
    _listeners.add(listener)
    try:
        yield listener
    finally:
        _listeners.discard(listener)
