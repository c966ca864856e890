"""The way between us and the third parties, on which questions and answers are late or lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tests.simulation.fate import Exchange, Fate
from tests.simulation.timeline import Timeline

TIMEOUT_S = 5.0
T = TypeVar("T")


class Network:
    def __init__(self, timeline: Timeline, fate: Fate) -> None:
        self.timeline, self.fate = timeline, fate
        # Parties that nobody can reach now.
        self.down: set[str] = set()

    async def ask(self, party: str, operation: str, effect: Callable[[], T], *, lost: Callable[[str], Exception]) -> T:
        """Bring a question to a party, let it have its effect there, and bring back the answer or the refusal.

        Raises what `lost` makes where no answer comes, whether or not the effect has happened.
        """
        outcome = self.fate.exchange(party, operation)
        await self.timeline.sleep(self.fate.latency_s())
        if outcome is Exchange.UNREACHABLE or party in self.down:
            await self.timeline.sleep(TIMEOUT_S)
            raise lost(f"{party} cannot be reached")
        answer: T | None = None
        refusal: Exception | None = None
        try:
            answer = effect()
        except Exception as error:
            refusal = error
        if outcome is Exchange.ANSWER_LOST:
            await self.timeline.sleep(TIMEOUT_S)
            raise lost(f"the answer of {party} is lost")
        await self.timeline.sleep(self.fate.latency_s() + (TIMEOUT_S * 0.9 if outcome is Exchange.SLOW else 0.0))
        if refusal is not None:
            raise refusal
        return answer  # type: ignore[return-value]
