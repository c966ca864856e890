"""The fixtures themselves: the servers are real, and no test sees what another one wrote."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
import redis
from tortoise import Tortoise

from tests import services
from tests.conftest import execute
from tests.services import (
    LOOPBACK,
    PostgresFiles,
    Service,
    ServiceFailed,
    ServiceUnavailable,
    find_free_port,
    run,
    start_redis,
)

OWN_POSTGRES = not os.environ.get("DATABASE_URL", "").startswith("postgres")
OWN_REDIS = not os.environ.get("REDIS_URL")


async def test_postgres_is_a_real_server(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        version = await connection.fetchval("SELECT version()")
        durable = await connection.fetchval("SHOW fsync")
    finally:
        await connection.close()
    assert version.startswith("PostgreSQL ")
    if OWN_POSTGRES:
        assert version.startswith("PostgreSQL 18.")
        assert durable == "off"


def test_redis_is_a_real_server(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping() is True
        server = client.info("server")
        assert server["redis_mode"] == "standalone"
        assert server["uptime_in_seconds"] >= 0


@pytest.mark.parametrize("turn", ["first", "second"])
async def test_each_test_has_a_database_of_its_own(database: str, turn: str) -> None:
    connection = Tortoise.get_connection("default")
    await connection.execute_script(f"CREATE TABLE left_by_{turn} (id INTEGER PRIMARY KEY)")
    other = "second" if turn == "first" else "first"
    listing = (
        "SELECT name FROM sqlite_master"
        if database.startswith("sqlite")
        else "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'"
    )
    names = {row["name"] for row in await connection.execute_query_dict(listing)}
    assert f"left_by_{turn}" in names
    assert f"left_by_{other}" not in names
    assert len(names) > 10, "the database is not migrated"


@pytest.mark.parametrize("turn", ["first", "second"])
def test_each_test_has_an_empty_redis(redis_url: str, turn: str) -> None:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        assert client.dbsize() == 0
        client.set(f"left-by-{turn}", 1)
        assert client.keys() == [f"left-by-{turn}"]


def test_a_free_port_can_be_listened_on(free_port: int) -> None:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, free_port))
        listener.listen()
        assert free_port > 1024


@pytest.mark.skipif(not OWN_REDIS, reason="REDIS_URL is set: the tests start no server of their own")
class TestOwnServer:
    def test_stop_ends_it_and_removes_its_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        service = start_redis()
        assert [folder.name[:12] for folder in tmp_path.iterdir()] == ["youka-redis-"]
        service.stop()
        assert list(tmp_path.iterdir()) == []
        with redis.Redis.from_url(service.url, retry=None) as client, pytest.raises(redis.ConnectionError):
            client.ping()

    def test_a_killed_server_comes_back_on_its_port(self) -> None:
        port = find_free_port()
        first = start_redis(port)
        with redis.Redis.from_url(first.url) as client:
            client.set("kept", "no")
        first.kill()
        second = start_redis(port)
        with redis.Redis.from_url(second.url) as client:
            assert client.get("kept") is None
        second.stop()

    def test_a_port_in_use_is_told_with_the_log(self) -> None:
        with socket.socket() as squatter:
            squatter.bind((LOOPBACK, 0))
            squatter.listen()
            with pytest.raises(ServiceFailed, match=r"(?s)ended.*bind"):
                start_redis(squatter.getsockname()[1])

    def test_no_server_outlives_a_killed_test_run(self, tmp_path: Path) -> None:
        script = """
            import os, signal
            from tests.services import start_redis
            print(start_redis().url, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        """
        environment = {**os.environ, "PYTHONPATH": ".", "TMPDIR": str(tmp_path)}
        command = [sys.executable, "-c", textwrap.dedent(script)]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=60, check=False)
        url = done.stdout.strip()
        assert url.startswith("redis://")
        deadline = time.monotonic() + 10
        while list(tmp_path.iterdir()):
            assert time.monotonic() < deadline, "the server outlived its test run"
            time.sleep(0.05)
        with redis.Redis.from_url(url, retry=None) as client, pytest.raises(redis.ConnectionError):
            client.ping()


@pytest.mark.skipif(not OWN_POSTGRES, reason="DATABASE_URL is set: the tests start no server of their own")
class TestPostgresFiles:
    def test_what_was_committed_outlives_an_immediate_stop(self) -> None:
        # Not below tmp_path: the account that runs the server could not reach it there.
        folder = Path(tempfile.mkdtemp(prefix="youka-postgres-"))
        files = PostgresFiles.create(folder)
        first = files.start({"fsync": "on", "synchronous_commit": "on"})
        execute(files.url, "CREATE TABLE kept (id INTEGER)")
        files.stop_immediately()
        first.stop()
        second = files.start({})
        execute(files.url, "INSERT INTO kept VALUES (1)")
        second.stop()
        assert (folder / "data").is_dir()
        shutil.rmtree(folder)

    def test_one_that_does_not_run_cannot_be_stopped(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="youka-postgres-"))
        files = PostgresFiles.create(folder)
        with pytest.raises(ServiceFailed, match="pg_ctl failed"):
            files.stop_immediately()
        shutil.rmtree(folder)


EITHER_SERVER = pytest.mark.parametrize("start", [services.start_postgres, services.start_redis])


class TestMissingBinary:
    @pytest.fixture(autouse=True)
    def _without_binaries(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(services, "find_spec", lambda _name: None)
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
        monkeypatch.setattr(shutil, "which", lambda _name: None)

    @EITHER_SERVER
    def test_where_the_wheel_runs_its_absence_is_a_failure(
        self, start: Callable[[], Service], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
        monkeypatch.setattr(platform, "machine", lambda: "x86_64")
        with pytest.raises(ServiceFailed, match="run `make test`"):
            start()

    @EITHER_SERVER
    def test_elsewhere_the_reason_says_what_to_do(
        self, start: Callable[[], Service], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "platform", "freebsd14")
        with pytest.raises(ServiceUnavailable, match=r"set (DATABASE_URL|REDIS_URL)"):
            start()


def test_run_uses_a_loop_of_its_own() -> None:
    async def answer() -> int:
        return 42

    assert run(answer()) == 42
