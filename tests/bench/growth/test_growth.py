"""`python -m bench.growth` as people run it, in a smoke run of seconds. How much dearer anything is does not matter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from bench.growth.options import parse
from bench.growth.road import STEPS
from bench.growth.run import TOTAL
from tests.bench.processes import commands_with

ROOT = Path(__file__).resolve().parents[3]
WITHIN_S = 120.0
MARK = "GROWTH_TEST_MARK"


def test_both_sizes_are_filled_measured_and_audited(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    sizes = ["--small", "200", "--large", "2000", "--audit", "small"]
    rounds = ["--rounds", "1", "--orders", "2", "--warmup", "0", "--counted", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.growth", *sizes, *rounds, "--json", str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error::ResourceWarning", MARK: str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    report = orjson.loads(path.read_bytes())
    assert report["met"] is (done.returncode == 0)

    small, large = report["small"], report["large"]
    for step in (*STEPS, TOTAL):
        for found in (small, large):
            assert found["steps"][step]["p50_s"] > 0
            assert found["steps"][step]["cpu_s"] > 0
            assert found["steps"][step]["pages"] > 0
        ratio = large["steps"][step]["p50_s"] / small["steps"][step]["p50_s"]
        assert report["ratios"][step] == pytest.approx(ratio)
    assert small["log_bytes"] > 0
    assert small["clockwork"]["finance journal"]["pages"] > 0
    assert list(report["audit_s"]) == ["200"]
    assert "an order costs" in done.stdout
    assert commands_with(MARK, tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--small", "100"], "at least 200 orders"),
        (["--small", "5000", "--large", "5000"], "more than that"),
        (["--rounds", "0"], "needs a round"),
        (["--audit", "large"], "invalid choice"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(arguments)
    assert reason in capsys.readouterr().err
