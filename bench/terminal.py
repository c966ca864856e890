"""How a long run tells where it is, and how it is asked to end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def telling() -> Iterator[Callable[[str], None]]:
    """Show where the run is: one line that changes on a terminal, a line for each step elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda step: print(step, file=sys.stderr, flush=True)
        return
    with console.status("") as status:
        yield status.update


def end_on_termination() -> None:
    """Take being asked to end like Ctrl-C: every context on the way out stops what it started."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: signal.raise_signal(signal.SIGINT))
