"""`python -m jobs` is the worker; its commands import data, keep the books, and show and settle the work."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from gateways.assembly import ThirdPartySettingsWrong, third_parties
from jobs import audit, epochs, finance, held_prices, imports, ledger_partitions, manual_queue, operators, work_status
from jobs.assembly import publishing_to_redis, working
from kernel import keys
from kernel.logs import configure_logging, get_logger
from kernel.pubsub import ShardingUnsupported, require_sharding
from kernel.settings import get_settings
from models.database import connected

log = get_logger(__name__)


async def work() -> int:
    """Run due work until a signal comes; what runs then gets a few seconds to end."""
    settings = get_settings()
    await require_sharding(settings)
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with (
        connected(settings.database),
        third_parties(settings) as parties,
        publishing_to_redis(settings),
        working(settings, parties, keys.sealer(settings)),
    ):
        log.info("worker.started")
        await stopping.wait()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m jobs",
        description="The worker (without a command), imports, the books, events, the manual queue, staff, offers.",
    )
    commands = parser.add_subparsers(metavar="COMMAND")
    imports.add_commands(commands)
    audit.add_command(commands)
    finance.add_commands(commands)
    epochs.add_command(commands)
    ledger_partitions.add_command(commands)
    operators.add_commands(commands)
    manual_queue.add_commands(commands)
    work_status.add_command(commands)
    held_prices.add_commands(commands)
    arguments = parser.parse_args()
    settings = get_settings()
    configure_logging(log_format=settings.log_format, level=settings.log_level)
    if hasattr(arguments, "run"):
        return int(arguments.run(arguments))
    try:
        return asyncio.run(work())
    except (ThirdPartySettingsWrong, ShardingUnsupported, keys.KeyMissing) as error:
        print(f"youka: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
