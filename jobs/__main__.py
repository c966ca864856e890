"""`python -m jobs` is the worker; its commands import data, keep the books, and show and settle the work."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from gateways.assembly import third_parties
from gateways.key_source import ThirdPartySettingsWrong
from jobs import (
    abnormal_refunds,
    access,
    acting,
    audit,
    channels,
    check_config,
    deprecated_usage,
    epochs,
    finance,
    finance_report,
    funds,
    held_prices,
    imports,
    issuers,
    ledger_partitions,
    manual_queue,
    operators,
    organisations,
    reconcile,
    switches,
    work_status,
)
from jobs.assembly import publishing_to_redis, watching, working
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
        working(settings, watching(parties, settings), keys.sealer(settings)),
    ):
        log.info("worker.started")
        await stopping.wait()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m jobs",
        description="The worker (no command), imports, books, bills, events, manual queue, staff, clients, offers.",
    )
    commands = parser.add_subparsers(metavar="COMMAND")
    imports.add_commands(commands)
    audit.add_command(commands)
    finance.add_commands(commands)
    finance_report.add_commands(commands)
    epochs.add_command(commands)
    ledger_partitions.add_command(commands)
    operators.add_commands(commands)
    access.add_commands(commands)
    acting.add_commands(commands)
    manual_queue.add_commands(commands)
    work_status.add_command(commands)
    held_prices.add_commands(commands)
    reconcile.add_commands(commands)
    funds.add_commands(commands)
    issuers.add_commands(commands)
    abnormal_refunds.add_command(commands)
    channels.add_command(commands)
    switches.add_commands(commands)
    organisations.add_commands(commands)
    check_config.add_command(commands)
    deprecated_usage.add_command(commands)
    arguments = parser.parse_args()
    settings = get_settings()
    configure_logging(log_format=settings.log_format, level=settings.log_level)
    if hasattr(arguments, "run"):
        return int(arguments.run(arguments))
    try:
        return asyncio.run(work())
    except (ThirdPartySettingsWrong, ShardingUnsupported, keys.KeyMissing, keys.KeyUnusable) as error:
        print(f"youka: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
