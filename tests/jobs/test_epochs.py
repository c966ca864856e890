"""`python -m jobs new-epoch`, as it is said after a restore."""

from __future__ import annotations

import os
import subprocess
import sys

from domain.events.queries import standing_of
from models.database import connected
from tests.house_process import ROOT
from tests.services import run


async def epoch(url: str) -> str:
    async with connected(url):
        return (await standing_of("prices")).epoch


def test_the_command_begins_another_epoch(database_url: str) -> None:
    before = run(epoch(database_url))
    environment = {**os.environ, "DATABASE_URL": database_url}
    command = [sys.executable, "-m", "jobs", "new-epoch"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    after = run(epoch(database_url))
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, [f"the epoch is now {after}"]), done.stderr
    assert after != before
