"""`python -m bench.storm` as people run it, in smoke runs of seconds. How soon anything recovers does not matter."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from bench.storm.database import Database
from bench.storm.evidence import books_of, world_of
from bench.storm.options import FAULTS, parse
from bench.storm.verify import Fault, judge
from bench.storm.witness import Promise
from tests.bench.processes import commands_with

ROOT = Path(__file__).resolve().parents[3]
WITHIN_S = 170.0
# What depends on how busy the machine is.
TIMED = ("a request is answered after a kill", "work in flight moves after a kill", "healed of ")


def storm(folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Run a storm and return what it said and the report on its one engine."""
    path = folder / "report.json"
    always = ["--json", str(path), "--folder", str(folder), "--servers", "1", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.storm", *always, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error::ResourceWarning"},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    report = orjson.loads(path.read_bytes())
    (engine,) = report["engines"]
    assert engine["met"] is (done.returncode == 0)
    return done, engine


def missed(engine: dict[str, Any]) -> list[dict[str, Any]]:
    return [bar for bar in engine["bars"] if not bar["met"] and not bar["name"].startswith(TIMED)]


def promises_in(folder: Path) -> list[Promise]:
    lines = (folder / "witness.jsonl").read_bytes().splitlines()
    read = [orjson.loads(line) for line in lines]
    return [Promise(**{**promise, "order_ids": set(promise["order_ids"])}) for promise in read]


async def faults_in(folder: Path, promises: Iterable[Promise]) -> set[tuple[Fault, str]]:
    """Judge the kept files of a storm over SQLite."""
    books = await books_of(Database(f"sqlite://{folder / 'youka.db'}"))
    world = await world_of(folder / "sandbox" / "sandbox.db")
    return {(finding.fault, finding.subject) for finding in judge(promises, books, world).findings}


def rewrite(path: Path, *statements: tuple[str, tuple[str, ...]]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement, values in statements:
            assert connection.execute(statement, values).rowcount > 0, statement


async def test_sqlite_is_killed_and_what_is_planted_afterwards_is_found(tmp_path: Path) -> None:
    # Who is killed again as soon as it is back gets nothing done between the kills.
    load = ("--clients", "4", "--recharges", "30", "--kills", "2", "--kill-every", "2")
    done, engine = storm(tmp_path, "--engine", "sqlite", *load)
    assert missed(engine) == [], done.stdout
    assert engine["acknowledged"] >= 30
    assert engine["orders"] == {"SUCCEEDED": engine["acknowledged"]}
    assert [kill["victim"] for kill in engine["kills"]][:2] == ["server-1", "server-1"]
    assert all(kill["returned_s"] == kill["served_s"] > 0 for kill in engine["kills"])
    assert "recharges acknowledged" in done.stdout

    folder = tmp_path / "sqlite"
    promises = promises_in(folder)
    assert await faults_in(folder, promises) == set()
    first, second, *_ = (promise for promise in promises if promise.acknowledged)
    shutil.copytree(folder, tmp_path / "lost")
    rewrite(tmp_path / "lost" / "youka.db", ("DELETE FROM recharge_order WHERE id = ?", (first.order_id or "",)))
    assert (Fault.LOST, first.order_id) in await faults_in(tmp_path / "lost", promises)
    shutil.copytree(folder, tmp_path / "doubled")
    rewrite(
        tmp_path / "doubled" / "sandbox" / "sandbox.db",
        (
            "INSERT INTO record (kind, id, document) SELECT kind, 'again', json_set(document, '$.attempt_id', 'again') "
            "FROM record WHERE kind = 'recharge' AND json_extract(document, '$.card_tail') = ? LIMIT 1",
            (second.card_tail,),
        ),
    )
    assert (Fault.DOUBLED, "again") in await faults_in(tmp_path / "doubled", promises)


def test_postgres_is_cut_off_and_killed(tmp_path: Path) -> None:
    done, engine = storm(
        tmp_path,
        *("--faults", "cut,drop-replies", "--fault-seconds", "1"),
        # While somebody recovers the load goes on, and takes from them what it costs.
        *("--clients", "2", "--recharges", "30", "--kills", "2", "--kill-every", "1"),
    )
    assert missed(engine) == [], done.stdout
    assert [spell["fault"] for spell in engine["spells"]] == ["cut", "drop-replies"]
    assert any(answer.startswith("broken") for answer in engine["spells"][0]["answers"])
    assert [kill["victim"] for kill in engine["kills"]][:2] == ["server-1", "worker-1"]
    assert commands_with("DATA_DIR", tmp_path / "postgres") == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--engine", "sqlite", "--faults"], "leave out --engine"),
        (["--faults", "cut,rain"], "unknown: rain; there are cut, delay, stall"),
        (["--clients", "0"], "needs a client"),
        (["--kill-every", "0"], "more than zero"),
        (["--engine", "oracle"], "invalid choice"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(arguments)
    assert reason in capsys.readouterr().err


def test_what_is_asked_for_where_nothing_is_said() -> None:
    plain, faulty = parse([]), parse(["--faults"])
    assert (plain.engines, plain.recharges, plain.kills, plain.faults) == (("sqlite", "postgres"), 10_000, 30, ())
    assert (faulty.engines, faulty.recharges, faulty.kills, faulty.faults) == (("postgres",), 0, 0, FAULTS)
    assert parse(["--faults", "cut", "--kills", "3"]).kills == 3
