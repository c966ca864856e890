"""Servers in JavaScript: their packages are installed into the environment, once for each version of the lock file."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

NODE = Path(__file__).resolve().parent / "peers" / "node"
INSTALLED = Path(sys.prefix) / "bench-peers"
INSTALL_WITHIN_S = 180.0
# Without a network it is soon clear that there is none.
PATIENCE = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000")
WANTED = ("package.json", "package-lock.json")
NOT_HERE = "needs node and npm on the PATH, and this machine lacks them"


class PeerUnavailable(RuntimeError):
    """A server that is compared with cannot run here; the message says why."""


def node() -> str:
    """Return the interpreter's path. Raises PeerUnavailable."""
    found = shutil.which("node")
    if found is None:
        raise PeerUnavailable(NOT_HERE)
    return found


def installed() -> Path:
    """Return the folder in which the programs of `peers/node` find their packages. Raises PeerUnavailable."""
    npm = shutil.which("npm")
    if npm is None:
        raise PeerUnavailable(NOT_HERE)
    node()
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "lock").open("w") as lock:
        # Two runs at a time find the folder whole, and wait for each other where it is not.
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = b"".join((NODE / each).read_bytes() for each in WANTED)
        stamp = INSTALLED / "installed"
        if not _holds(stamp, wanted):
            for each in WANTED:
                shutil.copyfile(NODE / each, INSTALLED / each)
            _install(npm)
            stamp.write_bytes(wanted)
        for program in NODE.glob("*.mjs"):
            if not _holds(INSTALLED / program.name, program.read_bytes()):
                shutil.copyfile(program, INSTALLED / program.name)
    return INSTALLED


def _holds(path: Path, content: bytes) -> bool:
    return path.exists() and path.read_bytes() == content


def _install(npm: str) -> None:
    command = [npm, "ci", "--no-audit", "--no-fund", *PATIENCE]
    try:
        done = subprocess.run(
            command, cwd=INSTALLED, capture_output=True, text=True, timeout=INSTALL_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PeerUnavailable(f"waited {INSTALL_WITHIN_S:.0f} s for npm ci in vain") from error
    if done.returncode:
        raise PeerUnavailable(f"could not be installed, npm ci failed:\n{done.stderr[-2_000:]}")
