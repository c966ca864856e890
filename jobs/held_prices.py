"""Commands for prices that wait for a person: list them, release or refuse them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from domain.actions.recording import columns_of
from domain.pricing import syncing
from jobs.acting import on_record
from jobs.commands import refusable
from jobs.printing import printable
from jobs.tables import table
from kernel.clock import SHANGHAI, utc_now
from models.pricing import HeldPrice

DONE = 0
ACTOR_LENGTH_MAX = 64
REASON_LENGTH_MAX = 256
TITLES = ("id", "province", "zone", "product", "before", "now", "move", "from")


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the commands; each sets `run`, which returns 0, or 2 where it refuses and says why."""
    command = subparsers.add_parser("held-prices", help="list the prices that move too much to be published alone")
    command.set_defaults(run=lambda given: _run(show))

    command = subparsers.add_parser("release-price", help="publish prices that were held")
    command.add_argument("id", type=UUID, nargs="+")
    command.add_argument("--by", required=True, type=_text(ACTOR_LENGTH_MAX), metavar="NAME", help="who decides")
    command.set_defaults(run=lambda given: _run(lambda: release(given.id, given.by)))

    command = subparsers.add_parser("refuse-price", help="never publish prices that were held")
    command.add_argument("id", type=UUID, nargs="+")
    command.add_argument("--by", required=True, type=_text(ACTOR_LENGTH_MAX), metavar="NAME", help="who decides")
    command.add_argument("--reason", required=True, type=_text(REASON_LENGTH_MAX))
    command.set_defaults(run=lambda given: _run(lambda: refuse(given.id, given.by, given.reason)))


async def show() -> int:
    rows = await syncing.held()
    if not rows:
        print("no price is held")
        return DONE
    print(table(TITLES, [_line(row) for row in rows]))
    return DONE


async def release(ids: Sequence[UUID], actor: str) -> int:
    for held_id in ids:
        row = await on_record(
            partial(syncing.release, held_id=held_id, actor=actor, clock=utc_now),
            *("release-price", "HeldPrice", held_id),
            by=actor,
            after=columns_of,
        )
        print(f"released: {' '.join(_line(row))}")
    return DONE


async def refuse(ids: Sequence[UUID], actor: str, reason: str) -> int:
    for held_id in ids:
        row = await on_record(
            partial(syncing.refuse, held_id=held_id, actor=actor, reason=reason, now=utc_now()),
            *("refuse-price", "HeldPrice", held_id),
            by=actor,
            reason=reason,
            after=columns_of,
        )
        print(f"refused: {' '.join(_line(row))}")
    return DONE


def _line(row: HeldPrice) -> tuple[str, ...]:
    before, now = row.previous_milliyuan, row.milliyuan_per_litre
    return (
        str(row.id),
        row.province_code,
        printable(row.zone_code),
        row.product.value,
        f"{before / 1000:.3f}" if before is not None else "-",
        f"{now / 1000:.3f}",
        f"{(now - before) / before:+.1%}" if before else "new",
        row.effective_from.astimezone(SHANGHAI).isoformat(timespec="minutes"),
    )


def _text(length_max: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not text.strip() or len(text) > length_max or not text.isprintable():
            raise argparse.ArgumentTypeError(f"{text!r} is not a text of 1 to {length_max} characters")
        return text

    return read


def _run(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    return refusable(work)
