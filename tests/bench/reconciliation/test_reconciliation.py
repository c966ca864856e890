"""`python -m bench.reconciliation` as people run it, in a smoke run of seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from bench.reconciliation.__main__ import growths
from bench.reconciliation.books import WAYS, WRONG_EVERY
from bench.reconciliation.options import LINES, parse
from tests.bench.processes import commands_with

ROOT = Path(__file__).resolve().parents[3]
WITHIN_S = 120.0
MARK = "RECONCILIATION_TEST_MARK"


def test_each_bill_is_compared_on_each_engine_and_what_is_wrong_is_found(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    few, many = 300, 2 * WRONG_EVERY + 1
    done = subprocess.run(
        [sys.executable, "-m", "bench.reconciliation", "--lines", str(many), str(few), "--json", str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error::ResourceWarning", MARK: str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = orjson.loads(path.read_bytes())
    assert [(row["engine"], row["lines"]) for row in report["runs"]] == [
        (engine, lines) for lines in (few, many) for engine in ("sqlite", "postgres")
    ]
    for row in report["runs"]:
        assert row["right"]
        assert row["counts"] == dict.fromkeys(WAYS[: 1 if row["lines"] == few else 3], 1)
        assert 0 < row["before_bytes"] <= row["peak_bytes"]
        assert row["seconds"] > 0
    for ratio in report["growth"].values():
        assert ratio["lines"] == pytest.approx(many / few)
    assert "exactly what is wrong" in done.stdout
    # Where nobody looks each step is a line, and no line is drawn over.
    assert "sqlite: comparing 300 lines\n" in done.stderr
    assert "\x1b" not in done.stderr
    assert commands_with(MARK, tmp_path) == []


def test_one_bill_has_no_growth() -> None:
    row = {"engine": "sqlite", "lines": 10, "seconds": 1.0, "cpu_s": 1.0, "peak_bytes": 1}
    assert growths([row]) == {}
    assert growths([row, {**row, "lines": 30, "seconds": 2.0}]) == {
        "sqlite": {"lines": 3.0, "seconds": 2.0, "cpu_s": 1.0, "peak_bytes": 1.0}
    }


def test_a_million_lines_is_what_is_measured_unless_somebody_says_otherwise() -> None:
    assert tuple(parse([]).lines) == LINES
    assert max(LINES) == 10 * min(LINES) == 1_000_000


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--lines", "0"], "between 1 line and"),
        (["--lines", "99999999999"], "between 1 line and"),
        (["--lines", "10", "10"], "measured once"),
        (["--lines", "many"], "invalid int value"),
        (["--engine", "oracle"], "invalid choice"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(arguments)
    assert reason in capsys.readouterr().err
