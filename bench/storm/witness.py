"""What clients were told, written down on their side: the witness against which the books are held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson


@dataclass(slots=True)
class Promise:
    """One recharge as its client knows it. `order_ids` are all that were ever answered to its key; one is right."""

    key: str
    card_tail: str
    amount_fen: int
    order_ids: set[str] = field(default_factory=set)
    payable: bool = False
    paid: bool = False

    @property
    def acknowledged(self) -> bool:
        """Whether both mutations were answered with success."""
        return bool(self.order_ids) and self.payable

    @property
    def order_id(self) -> str | None:
        return min(self.order_ids, default=None)


class Witness:
    """The log of promises, and of answers that were none."""

    def __init__(self) -> None:
        self._promises: dict[str, Promise] = {}
        self.refusals: Counter[str] = Counter()
        self.unanswered = 0

    def expect(self, *, key: str, card_tail: str, amount_fen: int) -> Promise:
        """Open the entry of a recharge whose first request is about to be sent."""
        assert key not in self._promises
        self._promises[key] = promise = Promise(key, card_tail, amount_fen)
        return promise

    def __iter__(self) -> Iterator[Promise]:
        return iter(self._promises.values())

    @property
    def acknowledged(self) -> int:
        return sum(promise.acknowledged for promise in self)

    def write(self, path: Path) -> None:
        """Write a JSON object in a line for each recharge."""
        with path.open("wb") as log:
            for promise in self:
                log.write(orjson.dumps(promise, default=sorted, option=orjson.OPT_APPEND_NEWLINE))
