"""Guides whose lines are run: what a page says in shell, against a server, one after another."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import IN_CI
from tests.house_process import ROOT, RunningHouse

WITHIN_S = 90


def blocks(path: Path, language: str) -> list[str]:
    """Return what a page has in one language."""
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    return found


async def run_lines(house: RunningHouse, path: Path) -> str:
    """Run the lines of a guide and return what they have printed. Fails where one of them does."""
    if not shutil.which("curl") or not shutil.which("bash"):
        reason = f"there is no curl on this machine, so THE LINES OF {path.name} WERE NOT RUN"
        pytest.fail(reason, pytrace=False) if IN_CI else pytest.skip(reason)
    script = "set -eu\n" + "\n".join(blocks(path, "sh")).replace(".venv/bin/python", sys.executable)
    own = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    with tempfile.TemporaryDirectory() as folder:
        done = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-c", script],
            env={**own, **house.environment, "TMPDIR": folder},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)
