"""Clients that do what a good client does: what was not answered is sent again, with the same key."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

from bench.load import PATH
from bench.storm.answers import Answer, Outcome, read, telltale
from bench.storm.wire import NoAnswer, Wire
from kernel.backoff import Backoff

PAUSE_MAX_S = 0.5
PATIENCE_S = 120.0
LEAKS_KEPT_MAX = 20
BODY_SHOWN_MAX = 300
# The refusals that ask for the same request again.
TRANSIENT = frozenset({"PAYMENT_UNAVAILABLE", "PAYMENT_STATE_UNKNOWN"})


class Refused(Exception):
    """A typed error that sending the request again would not change."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class Unanswered(Exception):
    """The request was sent again and again for PATIENCE_S, and nobody could say what became of it."""


class Ears:
    """What all clients have heard together."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.leaks: list[str] = []
        self.bodies_read = 0
        self._watching: list[asyncio.Queue[Answer]] = []

    def hear(self, answer: Answer, body: bytes | None) -> None:
        self.outcomes[f"{answer.outcome} {answer.code}".strip()] += 1
        if body is not None:
            self.bodies_read += 1
            words = telltale(body)
            if words and len(self.leaks) < LEAKS_KEPT_MAX:
                self.leaks.append(f"{words!r} in {body[:BODY_SHOWN_MAX].decode(errors='replace')}")
        for queue in self._watching:
            queue.put_nowait(answer)

    async def first_done(self, server: int, *, began_after: float) -> float:
        """Return when the first mutation was answered with success that the server was sent after a moment."""
        queue: asyncio.Queue[Answer] = asyncio.Queue()
        self._watching.append(queue)
        try:
            while True:
                answer = await queue.get()
                if answer.outcome is Outcome.DONE and answer.server == server and answer.began_at >= began_after:
                    return answer.ended_at
        finally:
            self._watching.remove(queue)


class Api:
    """GraphQL over HTTP at any of the servers."""

    def __init__(self, ports: Sequence[int], ears: Ears) -> None:
        self._wires = [Wire(port) for port in ports]
        self._ears = ears
        self._turns = itertools.cycle(range(len(ports)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for wire in self._wires:
            await wire.__aexit__()

    async def ask(
        self, document: str, variables: Mapping[str, Any], *, token: str, server: int | None = None
    ) -> Answer:
        """Send an operation once, to the given server or to the next one, and never raise for what comes of it."""
        server = next(self._turns) if server is None else server
        content = {"query": document, "variables": variables}
        began_at, body = time.monotonic(), None
        try:
            _, body = await self._wires[server].post(PATH, content, token=token)
        except NoAnswer as error:
            outcome, code, field = Outcome.SILENT, str(error), None
        else:
            outcome, code, field = read(body)
        answer = Answer(outcome, server, began_at, time.monotonic(), code, field)
        self._ears.hear(answer, body)
        return answer

    async def insist(
        self, document: str, variables: Mapping[str, Any], *, token: str, server: int | None = None
    ) -> dict[str, Any]:
        """Send an operation until it is answered, and return its payload. Raises Refused or Unanswered."""
        pauses, deadline = Backoff(maximum_s=PAUSE_MAX_S), time.monotonic() + PATIENCE_S
        while True:
            answer = await self.ask(document, variables, token=token, server=server)
            if answer.outcome is Outcome.DONE:
                assert answer.field is not None
                return answer.field
            if answer.outcome is Outcome.REFUSED and answer.code not in TRANSIENT:
                raise Refused(answer.code)
            if time.monotonic() > deadline:
                raise Unanswered(answer.code)
            await asyncio.sleep(pauses.next_delay_s())
