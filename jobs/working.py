"""`python -m jobs` without a command: the worker."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from gateways.assembly import third_parties
from gateways.key_source import ThirdPartySettingsWrong
from jobs.assembly import publishing_to_redis, watching, working
from kernel import keys
from kernel.logs import get_logger
from kernel.pubsub import ShardingUnsupported, require_sharding
from kernel.settings import get_settings
from models.database import connected

log = get_logger(__name__)


def run(_arguments: argparse.Namespace) -> int:
    """Be the worker until a signal comes; return 2 where the settings do not allow it, and say why."""
    try:
        return asyncio.run(work())
    except (ThirdPartySettingsWrong, ShardingUnsupported, keys.KeyMissing, keys.KeyUnusable) as error:
        print(f"youka: {error}", file=sys.stderr)
        return 2


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
