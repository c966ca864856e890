"""What an import tells the person who runs it: progress on a terminal, then a summary."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from domain.pricing.records import Change, Outcome
from jobs.printing import printable

REFUSALS_PRINTED_MAX = 20


@dataclass(slots=True)
class Report:
    """Counts every record by its kind and what became of it; keeps only so many refusals in words."""

    title: str
    counts: dict[str, Counter[Change]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    def add(self, kind: str, where: str, outcome: Outcome) -> None:
        self.counts.setdefault(kind, Counter())[outcome.change] += 1
        if outcome.change is Change.REFUSED and len(self.refusals) < REFUSALS_PRINTED_MAX:
            self.refusals.append(f"{where}: {outcome.reason}")

    def refuse(self, kind: str, where: str, reason: str) -> None:
        self.add(kind, where, Outcome(Change.REFUSED, reason))

    @property
    def refused(self) -> int:
        return sum(count[Change.REFUSED] for count in self.counts.values())

    def lines(self) -> Iterator[str]:
        yield self.title
        for kind, count in self.counts.items():
            yield f"  {kind}: " + ", ".join(f"{count[change]} {change}" for change in Change)
        for refusal in self.refusals:
            yield "  refused " + printable(refusal)
        if self.refused > len(self.refusals):
            yield f"  … and {self.refused - len(self.refusals)} more that were refused"


@contextmanager
def progress(path: Path) -> Iterator[Callable[[int], None]]:
    """Give a function that shows how many bytes of the file were read; it shows nothing where nobody looks."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(printable(path.name).replace("[", r"\["), total=path.stat().st_size)
        yield lambda read_bytes: bar.update(task, completed=read_bytes)
