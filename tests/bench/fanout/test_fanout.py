"""`python -m bench.fanout` as people run it, in a smoke run of seconds. How fast anything is does not matter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from bench.fanout.bars import met, verdicts
from bench.fanout.load import Cell, Load
from bench.fanout.options import parse
from tests.bench.processes import commands_with

ROOT = Path(__file__).resolve().parents[3]
WITHIN_S = 150.0
MARK = "FANOUT_TEST_MARK"
SOCKETS = 12


def test_every_server_delivers_every_event_to_every_socket(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    load = ["--sockets", str(SOCKETS), "--load", "240", "--quiet-load", "120", "--seconds", "0.5", "--rounds", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.fanout", *load, "--json", str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error::ResourceWarning", MARK: str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    report = orjson.loads(path.read_bytes())
    subjects = {"youka", "youka-2", "strawberry"}
    if shutil.which("npm") and not report["left_out"]:
        subjects |= {"node", "mercurius"}
    else:
        assert "LEFT OUT" in done.stdout
    assert report["met"] is (done.returncode == 0)
    assert report["met"] is all(bar["met"] for bar in report["bars"])
    assert "the bar at 12 sockets, p99 in ms" in done.stdout
    assert set(report["medians"]) == subjects
    for by_sockets in report["medians"].values():
        cell = by_sockets[str(SOCKETS)]
        for load_name in ("quiet", "busy"):
            assert cell[load_name]["delivered"] == cell[load_name]["expected"] > 0
            assert 0 < cell[load_name]["p50_ms"] <= cell[load_name]["p99_ms"]
    assert commands_with(MARK, tmp_path) == []


class TestBars:
    @pytest.mark.parametrize(
        ("ours", "missed"),
        [
            ({}, set()),
            ({"delivered": 99.0}, {"share delivered"}),
            ({"p99_ms": 251.0}, {"p99 in ms", "p99, ours by graphql-ws"}),
            ({"cpu_us": 20.1}, {"CPU for a delivery, mercurius by ours"}),
            ({"delivered_per_s": 19_000.0}, {"deliveries, ours by graphql-ws"}),
        ],
    )
    def test_each_load_is_judged(self, ours: dict[str, float], missed: set[str]) -> None:
        cells = {
            "youka": cell(**ours),
            "node": cell(delivered_per_s=10_000, p99_ms=2_400),
            "mercurius": cell(cpu_us=60),
        }
        assert {each.text for each in verdicts(cells) if not each.met} == missed

    def test_memory_is_judged_by_itself_and_beside_another(self) -> None:
        cells = {"youka": replace(cell(), kib_per_connection=15.5), "node": replace(cell(), kib_per_connection=15.4)}
        missed = {each.text for each in verdicts(cells) if not each.met}
        assert {"KiB for a connection", "memory for a connection, ours by graphql-ws"} <= missed

    def test_nobody_is_judged_by_whom_was_not_measured(self) -> None:
        assert verdicts({"node": cell()}) == []
        assert met([]) is None
        assert met(verdicts({"youka": cell()})) is True
        assert len(verdicts({"youka": cell()})) == 3


def cell(**changes: float) -> Cell:
    load = Load(
        offered_per_s=50_000, delivered_per_s=50_000, delivered=100, expected=100, p50_ms=40, p99_ms=100, cpu_us=20
    )
    busy = replace(load, **changes)  # type: ignore[arg-type]  # Counts of a median are no whole numbers.
    return Cell(sockets=5_000, kib_per_connection=12, connected_in_s=1, quiet=load, busy=busy)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--sockets", "many"], "not a list of numbers"),
        (["--sockets", "0"], "from 1 to"),
        (["--rounds", "0"], "a run offers"),
        (["--seconds", "0"], "a run offers"),
        (["--subjects", "youka,apollo"], "known are"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == 2
    assert reason in capsys.readouterr().err
