"""Callbacks on their way to us: each is repeated until it is acknowledged, so it comes often, late and unordered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from domain.orders.notices import Facts
from tests.simulation.timeline import ProcessDied, Timeline

REPEAT_FIRST_S = 2.0
REPEAT_MAX_S = 600.0


@dataclass(frozen=True, slots=True)
class Letter:
    """One callback. Copies of it carry the same id."""

    source: str
    notice_id: str
    facts: Facts


# Take a letter in one of our servers; a normal return is the acknowledgement.
Receiver = Callable[[Letter], Awaitable[None]]


@dataclass
class Post:
    timeline: Timeline
    receive: Receiver
    # Every letter that was ever written, in the order of writing.
    letters: list[Letter] = field(default_factory=list)

    def write(self, source: str, facts: Facts) -> Letter:
        letter = Letter(source, f"{source}-{len(self.letters) + 1}", facts)
        self.letters.append(letter)
        return letter

    def send(self, letter: Letter, *, after_s: float) -> None:
        """Bring the letter after a while, and again until it is taken."""
        self.timeline.start(lambda: self._bring(letter), name=f"letter {letter.notice_id}", after_s=after_s)

    async def _bring(self, letter: Letter) -> None:
        pause_s = REPEAT_FIRST_S
        while True:
            try:
                await self.receive(letter)
            except (ProcessDied, asyncio.CancelledError):
                await self.timeline.sleep(pause_s)
                pause_s = min(REPEAT_MAX_S, 2 * pause_s)
            else:
                return
