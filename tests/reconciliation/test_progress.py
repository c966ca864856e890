"""How far a run is: a bar on a terminal, and nothing where nobody looks."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house_process import ROOT

SHOW = """
from jobs.reconcile import progress
with progress() as tell:
    for doing in ("bill", "books", "compare"):
        for count in (20_000, 40_000):
            tell(doing, count)
"""


def shown(error: int) -> bytes:
    done = subprocess.run([sys.executable, "-c", SHOW], cwd=ROOT, stdout=subprocess.PIPE, stderr=error, check=True)
    assert done.stdout == b""
    return done.stdout


def test_a_bar_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    try:
        shown(theirs)
    finally:
        os.close(theirs)
    drawn = b""
    try:
        while part := os.read(ours, 65_536):
            drawn += part
    except OSError:
        # Linux ends a terminal that nobody holds any more with an error.
        pass
    finally:
        os.close(ours)
    for word in (b"bill", b"books", b"compare", b"40000 lines"):
        assert word in drawn


def test_elsewhere_it_is_silent(tmp_path: Path) -> None:
    with (tmp_path / "errors").open("w+b") as file:
        shown(file.fileno())
        file.seek(0)
        assert file.read() == b""
