"""The bars that Youka has to reach beside its peers, as data, and which of them a run has seen reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.operations import OPERATIONS
from bench.subjects import MERCURIUS, OURS, PLAIN, Subject

# The CPU time of the better mercurius by ours, at so many connections, for each way of running Youka.
CONNECTIONS = 32
MODES = {
    "bare": "no cache, no batching",
    "batching": "no cache, batching",
    "cached": "caches, purged live",
}
CPU_RATIO_MIN: dict[str, dict[str, float]] = {
    "bare": {"station": 1.1, "nearest": 1.7, "account": 1.8, "recharge": 1.8},
    "batching": {"station": 2.5, "nearest": 2.3, "account": 3.0, "recharge": 1.8},
    "cached": {"station": 6.0, "nearest": 5.0, "account": 4.0},
}
READS = ("station", "nearest", "account")
PLAIN_CPU_RATIO_MIN = 20.0
ONE_CONNECTION_P50_RATIO_MIN = 1.0
PEAK_RSS_MAX_MIB = 100.0

# What was measured of each server, by operation and connections.
Figures = Mapping[tuple[str, int], Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bar: whom it asks, for what, and what was found. It is a least value, or the most where `least` is false."""

    subject: str
    text: str
    bar: float
    found: float
    least: bool = True

    @property
    def met(self) -> bool:
        return self.found >= self.bar if self.least else self.found <= self.bar


def verdicts(figures: Figures) -> list[Verdict]:
    """Judge what was measured; a bar is left out where it or whom it compares with was not measured."""
    subjects = [each for each in OURS if any(each.name in by_server for by_server in figures.values())]
    return [
        *(verdict for each in subjects for verdict in _by_mercurius(each, figures)),
        *(verdict for each in subjects[-1:] for verdict in (*_by_plain(each, figures), *_alone(each, figures))),
        *(verdict for each in subjects for verdict in _memory(each, figures)),
    ]


def _by_mercurius(subject: Subject, figures: Figures) -> Iterator[Verdict]:
    for operation, bar in CPU_RATIO_MIN.get(subject.mode, {}).items():
        ratio = _ratio(subject, MERCURIUS, "cpu_us", figures.get((operation, CONNECTIONS), {}))
        if ratio is not None:
            title = OPERATIONS[operation].title
            yield Verdict(
                subject.name, f"{title}: CPU of the better mercurius by ours, {MODES[subject.mode]}", bar, ratio
            )


def _by_plain(subject: Subject, figures: Figures) -> Iterator[Verdict]:
    for operation in READS:
        ratio = _ratio(subject, (PLAIN,), "cpu_us", figures.get((operation, CONNECTIONS), {}))
        if ratio is not None:
            text = f"{OPERATIONS[operation].title}: CPU of plain strawberry by ours"
            yield Verdict(subject.name, text, PLAIN_CPU_RATIO_MIN, ratio)


def _alone(subject: Subject, figures: Figures) -> Iterator[Verdict]:
    for operation, described in OPERATIONS.items():
        ratio = _ratio(subject, MERCURIUS, "p50_ms", figures.get((operation, 1), {}))
        if ratio is not None:
            text = f"{described.title}: p50 of the better mercurius by ours, one connection"
            yield Verdict(subject.name, text, ONE_CONNECTION_P50_RATIO_MIN, ratio)


def _memory(subject: Subject, figures: Figures) -> Iterator[Verdict]:
    peaks = [
        by_server[subject.name]["peak_rss_mib"]
        for (_, connections), by_server in figures.items()
        if connections >= CONNECTIONS and subject.name in by_server
    ]
    if any(peaks):
        yield Verdict(subject.name, "peak RSS under load, MiB", PEAK_RSS_MAX_MIB, max(peaks), least=False)


def _ratio(
    subject: Subject, peers: Sequence[str], metric: str, by_server: Mapping[str, Mapping[str, float]]
) -> float | None:
    """Return the best of the peers by the subject, None where one of them or both are missing."""
    theirs = [by_server[name][metric] for name in peers if name in by_server]
    ours = by_server[subject.name][metric] if subject.name in by_server else 0.0
    return min(theirs) / ours if theirs and ours else None
