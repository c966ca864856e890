"""`python -m bench` as people run it, in a smoke run of seconds. Nothing here looks at how fast anything is."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import asyncpg
import orjson
import pytest

from bench import report
from bench.__main__ import commands
from bench.options import QUICK
from tests.bench.processes import commands_with
from tests.services import run

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 300.0
PYTHON_PEERS = "strawberry,ariadne"
NODE_PEERS = "mercurius-pg,mercurius-postgres,yoga"
OPERATIONS = {"station", "nearest", "account", "recharge"}
MARK = "BENCH_TEST_MARK"
NOWHERE = dict.fromkeys(("processor", "cores", "system", "python", "server_cores", "other_cores"), "")


@pytest.fixture
def environment(postgres_server: str) -> dict[str, str]:
    """The environment of a benchmark whose every process can be found again."""
    return {**os.environ, "DATABASE_URL": postgres_server, MARK: secrets.token_hex(8)}


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT reach the processes that a test starts, also where the tests run in the background and ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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
        for name in cell["servers"]:
            yield name, cell


def require_whole(report: dict[str, Any], engines: set[str], servers: set[str]) -> None:
    """Every cell has figures of every server, and every recharge of every server is accounted for."""
    assert {(cell["engine"], cell["operation"]) for cell in report["results"]} == {
        (engine, operation) for engine in engines for operation in OPERATIONS
    }
    for name, cell in cells(report):
        assert set(cell["servers"]) == servers
        figures = cell["servers"][name]
        assert figures["requests_per_s"] > 0
        assert figures["cpu_us"] > 0
        assert 0 < figures["p50_ms"] <= figures["p99_ms"]
        (measured,) = cell["rounds"][name]
        assert measured["acknowledged"] >= measured["requests"] >= 1
        assert measured["requests_per_s"] == pytest.approx(measured["requests"] / measured["seconds"])
        if name != "youka":
            dearer = figures["cpu_us"] / cell["servers"]["youka"]["cpu_us"]
            assert cell["ratios"][name]["cpu_us"] == pytest.approx(dearer)
    for engine in engines:
        recharges = [cell for cell in report["results"] if (cell["engine"], cell["operation"]) == (engine, "recharge")]
        for name in servers:
            rows = report["verified"][engine][name]
            sent = sum(measured["acknowledged"] for cell in recharges for measured in cell["rounds"][name])
            # Those that let the servers settle come on top.
            assert rows["acknowledged"] > sent + report["options"]["compared"]
            assert set(rows.values()) == {rows["acknowledged"]}


class TestQuickRun:
    def test_measures_python_servers_on_both_engines_and_leaves_nothing(
        self, environment: dict[str, str], tmp_path: Path
    ) -> None:
        path = tmp_path / "report.json"
        process = bench(environment, "--engine", "both", "--peers", PYTHON_PEERS, "--json", str(path))
        shown, told = process.communicate(timeout=WITHIN_S)
        assert process.returncode == 0, told
        found = orjson.loads(path.read_bytes())
        require_whole(found, {"sqlite", "postgres"}, {"youka", "strawberry", "ariadne"})
        assert found["left_out"] == []
        # A bar that needs a peer, or connections, that were not measured is not judged.
        assert found["bars"] == []
        assert "create recharge" in shown
        assert found["machine"]["cores"] >= 1
        picture = ElementTree.parse(path.with_suffix(".svg")).getroot()  # noqa: S314 -- our own.
        assert "ariadne" in "".join(picture.itertext())
        assert run(bench_databases(environment["DATABASE_URL"])) == 0
        assert processes_of(environment) == []

    def test_servers_on_node_answer_alike(self, environment: dict[str, str], tmp_path: Path) -> None:
        path = tmp_path / "report.json"
        process = bench(environment, "--peers", NODE_PEERS, "--json", str(path))
        shown, told = process.communicate(timeout=WITHIN_S)
        assert process.returncode == 0, told
        found = orjson.loads(path.read_bytes())
        if found["left_out"]:
            assert "LEFT OUT" in shown
            assert "LEFT OUT" in told
            pytest.skip(found["left_out"][0])
        require_whole(found, {"postgres"}, {"youka", *NODE_PEERS.split(",")})
        assert processes_of(environment) == []

    def test_growth_is_told_beside_the_first_size(self, environment: dict[str, str], tmp_path: Path) -> None:
        path = tmp_path / "report.json"
        process = bench(environment, "--engine", "sqlite", "--peers", "none", "--growth", "--json", str(path))
        shown, told = process.communicate(timeout=WITHIN_S)
        assert process.returncode == 0, told
        found = orjson.loads(path.read_bytes())
        assert {cell["times"] for cell in found["results"]} == {1, 10}
        assert set(found["verified"]) == {"sqlite", "sqlite, 10×"}
        assert "1,200 stations, 40 users, 2,500 orders" in shown
        assert "growth: CPU" in shown

    @pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found through /proc")
    @pytest.mark.usefixtures("interruptible")
    def test_stops_everything_on_ctrl_c(self, environment: dict[str, str], tmp_path: Path) -> None:
        path = tmp_path / "report.json"
        process = bench(
            environment, "--engine", "sqlite", "--peers", "strawberry", "--seconds", "60", "--json", str(path)
        )
        try:
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
        finally:
            process.kill()
        assert not path.exists()


def test_says_loudly_whom_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told: list[str] = []
    found, left_out = commands(replace(QUICK, peers=("ariadne", "yoga")), told.append)
    assert set(found) == {"youka", "ariadne"}
    assert left_out == ["yoga needs node and npm on the PATH, and this machine lacks them"]
    assert told == [f"LEFT OUT: {left_out[0]}"]
    report.show({"machine": NOWHERE, "results": [], "bars": [], "verified": {}, "notes": [], "left_out": left_out})
    assert "LEFT OUT, so nothing here says how it does: yoga" in capsys.readouterr().out
