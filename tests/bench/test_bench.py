"""`python -m bench` as people run it, in a smoke run of seconds. Nothing here looks at how fast anything is."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from tests.bench.processes import commands_with
from tests.services import run

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 120.0
SERVERS = {"youka", "baseline"}
OPERATIONS = {"station", "nearest", "account", "recharge"}
MARK = "BENCH_TEST_MARK"


@pytest.fixture
def environment(postgres_server: str) -> dict[str, str]:
    """The environment of a benchmark whose every process can be found again."""
    return {**os.environ, "DATABASE_URL": postgres_server, MARK: secrets.token_hex(8)}


def bench(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench", "--quick", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_of(environment: dict[str, str]) -> list[str]:
    """Return the commands of all processes that the benchmark started, itself included."""
    return commands_with(MARK, environment[MARK])


async def bench_databases(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname LIKE 'youka_bench_%'"))
    finally:
        await connection.close()


def cells(report: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for cell in report["results"]:
        for name in SERVERS:
            yield name, cell


class TestQuickRun:
    def test_measures_both_servers_on_both_engines_and_leaves_nothing(
        self, environment: dict[str, str], tmp_path: Path
    ) -> None:
        path = tmp_path / "report.json"
        process = bench(environment, "--json", str(path))
        shown, told = process.communicate(timeout=WITHIN_S)
        assert process.returncode == 0, told
        report = orjson.loads(path.read_bytes())

        assert {(cell["engine"], cell["operation"]) for cell in report["results"]} == {
            (engine, operation) for engine in ("sqlite", "postgres") for operation in OPERATIONS
        }
        for name, cell in cells(report):
            figures = cell[name]
            assert figures["requests_per_s"] > 0
            assert 0 < figures["p50_ms"] <= figures["p99_ms"]
            (measured,) = cell["rounds"][name]
            assert measured["acknowledged"] >= measured["requests"] >= 1
            assert measured["requests_per_s"] == pytest.approx(measured["requests"] / measured["seconds"])
            faster = cell["youka"]["requests_per_s"] / cell["baseline"]["requests_per_s"]
            assert cell["ratio"]["requests_per_s"] == pytest.approx(faster)

        for engine in ("sqlite", "postgres"):
            recharges = [
                cell for cell in report["results"] if (cell["engine"], cell["operation"]) == (engine, "recharge")
            ]
            for name in SERVERS:
                rows = report["verified"][engine][name]
                sent = sum(measured["acknowledged"] for cell in recharges for measured in cell["rounds"][name])
                assert rows["acknowledged"] == sent + report["options"]["compared"]
                assert set(rows.values()) == {rows["acknowledged"]}

        assert "create recharge" in shown
        assert report["machine"]["cores"] >= 1
        assert run(bench_databases(environment["DATABASE_URL"])) == 0
        assert processes_of(environment) == []

    @pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found through /proc")
    def test_stops_everything_on_ctrl_c(self, environment: dict[str, str], tmp_path: Path) -> None:
        path = tmp_path / "report.json"
        process = bench(environment, "--engine", "sqlite", "--seconds", "60", "--json", str(path))
        assert process.stderr is not None
        for line in process.stderr:
            if "round 1" in line:
                break
        # The load is under way when the interrupt comes, and two servers and their databases are there.
        time.sleep(0.2)
        assert len(processes_of(environment)) == 4
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=WITHIN_S)
        assert process.returncode == 130, told
        assert processes_of(environment) == []
        assert not path.exists()
