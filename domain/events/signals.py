"""Telling the relays of this process that a transaction with events has committed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

_listeners: set[asyncio.Event] = set()
# Those among them that publish.
_relays: set[asyncio.Event] = set()


def notify() -> None:
    """Wake everybody who listens in this process. Appending an event arranges this for the moment of its commit."""
    for listener in _listeners:
        listener.set()


def notify_relays() -> None:
    """Wake the relays of this process, for a commit that has work for nobody else; everybody where there is none."""
    for listener in _relays or _listeners:
        listener.set()


@contextmanager
def listening(*, relays: bool = False) -> Iterator[asyncio.Event]:
    """Give an event that is set after each commit; whoever waits on it clears it first and looks at the table then.

    Who `relays` publishes what was committed.
    """
    listener = asyncio.Event()
    _listeners.add(listener)
    if relays:
        _relays.add(listener)
    try:
        yield listener
    finally:
        _listeners.discard(listener)
        _relays.discard(listener)
