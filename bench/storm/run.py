"""One storm over one engine, from the first sign-in to the verdict."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.processes import ROOT
from bench.storm.client import Api, Ears
from bench.storm.database import Database, DatabaseAway
from bench.storm.evidence import books_of, world_of
from bench.storm.house import House, opened
from bench.storm.killer import Kill, Killer
from bench.storm.load import Load
from bench.storm.options import Options
from bench.storm.verify import Verdict, judge, unexplained
from bench.storm.weather import Spell, Weather
from bench.storm.wire import Wire
from bench.storm.witness import Witness

# ¥50 on average, and ¥2,000 within an hour need a face; a run may last longer than its number of recharges asks for.
RECHARGES_PER_USER = 15
USERS_PER_SECOND_OF_FAULT = 3
USERS_MIN = 16
# A closed load: who cannot keep up is not buried, so that what is in flight at a kill is what is at work.
MOVING_MAX = 256
WATCH_INTERVAL_S = 0.25
SETTLE_INTERVAL_S = 0.5
LOOK_CLOSER_BELOW = 50


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a storm over one engine has shown. `idle` is how many connections were left idle in a transaction."""

    engine: str
    seconds: float
    settled_s: float
    witness: Witness
    ears: Ears
    kills: tuple[Kill, ...]
    spells: tuple[Spell, ...]
    verdict: Verdict
    idle: int
    audit: str
    audit_passed: bool


@dataclass(frozen=True, slots=True)
class Storm:
    """The parts of a storm that is under way."""

    house: House
    database: Database
    ears: Ears
    witness: Witness
    load: Load
    killer: Killer
    weather: Weather | None


async def storm(options: Options, engine: str, folder: Path, progress: Callable[[str], None]) -> Outcome:
    """Raises ServerFailed, services.ServiceFailed or services.ServiceUnavailable where the storm itself broke down."""
    progress(f"{engine}: starting everything")
    async with AsyncExitStack() as stack:
        parts = await _prepared(stack, options, engine, folder, progress)
        seconds = await _blow(parts, options, progress)
        progress(f"{engine}: waiting until no order moves")
        settled_s = await settle(parts.database, within_s=options.settled_within_s)
        progress(f"{engine}: holding the books against the witnesses")
        parts.witness.write(folder / "witness.jsonl")
        books, world = await books_of(parts.database), await world_of(parts.house.sandbox_records)
        idle = await parts.database.idle_in_transaction()
        audit_passed, audit = await asyncio.to_thread(audit_ledger, parts.house)
        return Outcome(
            engine=engine,
            seconds=seconds,
            settled_s=settled_s,
            witness=parts.witness,
            ears=parts.ears,
            kills=tuple(parts.killer.kills),
            spells=tuple(parts.weather.spells) if parts.weather else (),
            verdict=judge(parts.witness, books, world),
            idle=idle,
            audit=audit,
            audit_passed=audit_passed,
        )


async def _prepared(
    stack: AsyncExitStack, options: Options, engine: str, folder: Path, progress: Callable[[str], None]
) -> Storm:
    house = await stack.enter_async_context(opened(options, engine, folder))
    database = Database(house.url)
    stack.push_async_callback(database.close)
    ears, witness = Ears(), Witness()
    api = await stack.enter_async_context(Api(house.server_ports, ears))
    probe = await stack.enter_async_context(Api(house.server_ports, Ears()))
    sandbox = await stack.enter_async_context(Wire(house.sandbox_port))
    load = Load(api, sandbox, witness, seed=options.seed, clients=options.clients)
    await stack.enter_async_context(load)
    progress(f"{engine}: signing in")
    await load.sign_in(house.server_urls[0], users_for(options))
    killer = Killer(
        house.servers,
        house.workers,
        probe=probe,
        token=load.users[0].token,
        database=database,
        seed=options.seed,
        every_s=options.kill_every_s,
    )
    weather = None
    if house.postgres is not None and house.proxy is not None:
        weather = Weather(
            options.faults,
            proxy=house.proxy,
            postgres=house.postgres,
            servers=len(house.servers),
            workers=house.workers,
            load=load,
            ears=ears,
            database=database,
            fault_s=options.fault_s,
            progress=progress,
        )
    return Storm(house, database, ears, witness, load, killer, weather)


async def _blow(parts: Storm, options: Options, progress: Callable[[str], None]) -> float:
    """Recharge through everything that was asked for, and return for how many seconds."""
    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        recharging = group.create_task(parts.load.run())
        holding = group.create_task(hold_back(parts.load, parts.database))
        if parts.weather:
            await parts.weather.run()
        killing = group.create_task(parts.killer.run()) if options.kills else None
        while parts.witness.acknowledged < options.recharges or len(parts.killer.kills) < options.kills:
            progress(
                f"{parts.house.engine}: {parts.witness.acknowledged} of {options.recharges} recharges, "
                f"{len(parts.killer.kills)} of {options.kills} kills"
            )
            await asyncio.sleep(WATCH_INTERVAL_S)
        parts.killer.stop()
        if killing:
            await killing
        holding.cancel()
        parts.load.stop()
        await recharging
    return time.monotonic() - begun


def users_for(options: Options) -> int:
    """So many that nobody recharges as much in a run as would look like an order split in pieces."""
    in_faults = len(options.faults) * options.fault_s * USERS_PER_SECOND_OF_FAULT
    return max(USERS_MIN, math.ceil(max(options.recharges / RECHARGES_PER_USER, in_faults)))


async def hold_back(load: Load, database: Database) -> None:
    """Close the load's gate while too many orders are under way."""
    while True:
        with suppress(DatabaseAway):
            if await database.moving() < MOVING_MAX:
                load.gate.set()
            else:
                load.gate.clear()
        await asyncio.sleep(WATCH_INTERVAL_S)


async def settle(database: Database, *, within_s: float) -> float:
    """Wait until every order is at its end or in the manual queue, and return how long that took."""
    begun = time.monotonic()
    while moving := await database.moving():
        passed_s = time.monotonic() - begun
        if passed_s > within_s:
            break
        if moving <= LOOK_CLOSER_BELOW and not unexplained(await books_of(database)):
            break
        await asyncio.sleep(SETTLE_INTERVAL_S)
    return time.monotonic() - begun


def audit_ledger(house: House) -> tuple[bool, str]:
    done = subprocess.run(
        [sys.executable, "-m", "jobs", "audit-ledger"],
        cwd=ROOT,
        env=house.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode == 0, done.stdout
