"""The clients of others, from npm: installed once by their lock file, and played by Node."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import IN_CI

HERE = Path(__file__).parent
INSTALLED_WITHIN_S = 180.0
TOLD_WITHIN_S = 30.0

Play = Callable[..., AbstractAsyncContextManager["Scenario"]]


class Scenario:
    """A scenario of scenarios.mjs that plays; it tells what happens, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def told(self) -> tuple[str, Any]:
        """Return what happened next and its value, within TOLD_WITHIN_S. Raises AssertionError where it has ended."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        async with asyncio.timeout(TOLD_WITHIN_S):
            line = await self._process.stdout.readline()
            assert line, (await self._process.stderr.read()).decode()
        message = json.loads(line)
        return message["what"], message["value"]

    async def value(self, what: str) -> Any:
        """Return the value of what happens next, which must be this."""
        found, value = await self.told()
        assert found == what, (found, value)
        return value

    async def tell(self, value: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value).encode() + b"\n")
        await self._process.stdin.drain()


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has the scenarios and what they import."""
    if not (shutil.which("node") and shutil.which("npm")):
        reason = "node and npm are not installed, so NO JAVASCRIPT CLIENT WAS TRIED AGAINST THE SERVER"
        # A continuous integration without them would pass without having looked.
        pytest.fail(reason, pytrace=False) if IN_CI else pytest.skip(reason)
    folder = tmp_path_factory.mktemp("javascript")
    shutil.copy(HERE / "scenarios.mjs", folder)
    (folder / "node_modules").symlink_to(_installed() / "node_modules")
    return folder


def _installed() -> Path:
    """Install what the lock file names, once for each of its versions, beside the Python packages of the tests."""
    lock = (HERE / "package-lock.json").read_bytes()
    target = Path(sys.prefix) / "javascript" / hashlib.sha256(lock).hexdigest()[:16]
    if target.exists():
        return target
    target.parent.mkdir(exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=target.parent))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, making)
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=making,
        capture_output=True,
        text=True,
        timeout=INSTALLED_WITHIN_S,
        check=False,
    )
    if done.returncode:
        shutil.rmtree(making)
        pytest.fail(f"npm could not install the clients:\n{done.stdout}{done.stderr}", pytrace=False)
    try:
        making.rename(target)
    except OSError:
        # Another run was faster.
        shutil.rmtree(making)
    return target


@pytest.fixture
def play(node_folder: Path) -> Play:
    """Play a scenario by its name: `async with play("socket", url=…) as scenario`."""

    @asynccontextmanager
    async def playing(name: str, **given: Any) -> AsyncIterator[Scenario]:
        process = await asyncio.create_subprocess_exec(
            "node",
            "scenarios.mjs",
            name,
            json.dumps(given),
            cwd=node_folder,
            env={name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield Scenario(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return playing
