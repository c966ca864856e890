"""`python -m bench.fanout` as people run it, in a smoke run of seconds. How fast anything is does not matter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

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
        subjects.add("node")
        assert report["met"] is (done.returncode == 0)
        assert "the bar at 12 sockets" in done.stdout
    else:
        assert report["met"] is None
        assert "left out" in done.stdout
    assert set(report["medians"]) == subjects
    for by_sockets in report["medians"].values():
        cell = by_sockets[str(SOCKETS)]
        for load_name in ("quiet", "busy"):
            assert cell[load_name]["delivered"] == cell[load_name]["expected"] > 0
            assert 0 < cell[load_name]["p50_ms"] <= cell[load_name]["p99_ms"]
    assert commands_with(MARK, tmp_path) == []


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
