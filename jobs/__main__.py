"""`python -m jobs` is the worker; its commands import data, keep the books, and show and settle the work."""

from __future__ import annotations

if __name__ == "__main__":
    # It is for what the others load; who imports this module keeps a collector that runs.
    import kernel.collector

import argparse
import gc
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module

from jobs.catalogue import add_commands_of, modules_for
from kernel.logs import configure_logging
from kernel.settings import get_settings


def main(loaded: Callable[[], None] = gc.enable) -> int:
    """Do what the arguments say, and return the exit code; `loaded` is called before the work begins."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs",
        description="The worker (no command), imports, books, bills, events, manual queue, staff, clients, offers.",
    )
    # A process is the worker or one command, and the modules of the others would take it a second to load.
    arguments = sys.argv[1:]
    commands = parser.add_subparsers(metavar="COMMAND")
    for module in modules_for(arguments) if arguments else ():
        add_commands_of(module, commands)
    given = parser.parse_args(arguments)
    work = given.run if arguments else import_module("jobs.working").run
    settings = get_settings()
    configure_logging(log_format=settings.log_format, level=settings.log_level)
    loaded()
    return int(work(given))


if __name__ == "__main__":
    sys.exit(main(partial(kernel.collector.loaded, for_good=True)))
