"""The bars of fan-out, as data: what Youka has to reach by itself, and beside two servers in JavaScript."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bench.bars import Verdict
from bench.fanout.load import Cell

OURS, NODE, MERCURIUS = "youka", "node", "mercurius"

DELIVERED_SHARE_MIN = 1.0
P99_MAX_MS = 250.0
CONNECTION_MAX_KIB = 15.0
# Against mercurius, whose CPU time by a delivery is divided by ours.
CPU_RATIO_MIN = 3.0
# Against graphql-ws: ours by theirs.
DELIVERIES_RATIO_MIN = 2.0
P99_RATIO_MAX = 0.1
MEMORY_RATIO_MAX = 1.0


def verdicts(cells: Mapping[str, Cell]) -> list[Verdict]:
    """Judge the cells of the servers under the busy load; a bar is left out where it cannot be measured."""
    if OURS not in cells:
        return []
    ours = cells[OURS]
    return [
        Verdict(OURS, "share delivered", DELIVERED_SHARE_MIN, ours.busy.delivered / ours.busy.expected),
        Verdict(OURS, "p99 in ms", P99_MAX_MS, ours.busy.p99_ms, least=False),
        Verdict(OURS, "KiB for a connection", CONNECTION_MAX_KIB, ours.kib_per_connection, least=False),
        *_beside_mercurius(ours, cells.get(MERCURIUS)),
        *_beside_node(ours, cells.get(NODE)),
    ]


def _beside_mercurius(ours: Cell, theirs: Cell | None) -> Iterator[Verdict]:
    if theirs and ours.busy.cpu_us:
        ratio = theirs.busy.cpu_us / ours.busy.cpu_us
        yield Verdict(OURS, "CPU for a delivery, mercurius by ours", CPU_RATIO_MIN, ratio)


def _beside_node(ours: Cell, theirs: Cell | None) -> Iterator[Verdict]:
    if theirs is None:
        return
    deliveries = ours.busy.delivered_per_s / theirs.busy.delivered_per_s
    yield Verdict(OURS, "deliveries, ours by graphql-ws", DELIVERIES_RATIO_MIN, deliveries)
    p99 = ours.busy.p99_ms / theirs.busy.p99_ms
    yield Verdict(OURS, "p99, ours by graphql-ws", P99_RATIO_MAX, p99, least=False)
    memory = ours.kib_per_connection / theirs.kib_per_connection
    yield Verdict(OURS, "memory for a connection, ours by graphql-ws", MEMORY_RATIO_MAX, memory, least=False)


def met(judged: Sequence[Verdict]) -> bool | None:
    """Whether every bar that was measured is reached; None where none was."""
    return all(each.met for each in judged) if judged else None
