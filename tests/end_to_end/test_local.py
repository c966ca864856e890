"""`make run` as a newcomer meets it: the runner, its processes, and the data it keeps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.house_process import HEALTHY_WITHIN_S, Process, RunningHouse
from tests.services import find_free_port


class Runner(RunningHouse):
    """A house whose sandbox, server and worker are the runner's own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port, sandbox_port = find_free_port(), find_free_port()
        self.url, self.sandbox_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{sandbox_port}"
        self.environment = {
            "PORT": str(self.port),
            "SANDBOX_PORT": str(sandbox_port),
            "DATA_DIR": str(folder / "data"),
            "DATABASE_URL": "",
            "REDIS_URL": "",
            **environment,
        }
        self.server = Process("deploy.local", self.environment, folder / "runner.log")

    @property
    def listening(self) -> bool:
        for url in (self.url, self.sandbox_url):
            try:
                httpx.get(f"{url}/healthz", trust_env=False)
            except httpx.TransportError:
                continue
            return True
        return False

    def wait_until_silent(self) -> None:
        deadline = time.monotonic() + HEALTHY_WITHIN_S
        while self.listening:
            assert time.monotonic() < deadline, self.server.tail()
            time.sleep(0.02)


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(tmp_path)
    yield runner
    if not runner.server.ended:
        runner.server.stop()


def orders_of_demo(runner: Runner) -> int:
    _, body = runner.ask("{ viewer { orders { edges { cursor } } } }", token=runner.token())
    return len(body["data"]["viewer"]["orders"]["edges"])


def test_one_command_suffices_and_a_second_start_keeps_the_data(runner: Runner) -> None:
    runner.server.start()
    runner.wait_until_ready()
    first = runner.client("clients.demo")
    assert first.returncode == 0, first.stderr + runner.server.tail()
    assert runner.server.stop() == 0
    runner.wait_until_silent()
    shown = runner.server.tail()
    assert f"{runner.url}/graphql" in shown
    assert f"make demo PORT={runner.port} SANDBOX_PORT={runner.environment['SANDBOX_PORT']} " in shown
    runner.server.start()
    runner.wait_until_ready()
    assert orders_of_demo(runner) == 1
    assert runner.server.stop() == 0
    runner.wait_until_silent()


def test_a_taken_port_is_named(runner: Runner, tmp_path: Path) -> None:
    runner.server.start()
    runner.wait_until_ready()
    (tmp_path / "other").mkdir()
    other = Runner(tmp_path / "other", PORT=str(runner.port))
    other.server.start()
    _wait(lambda: other.server.ended)
    assert f"port {runner.port} is in use; choose another with PORT=" in other.server.tail()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"PORT": "eighty"}, "PORT: Input should be a valid integer"),
        ({"YOUKA_ENVIRONMENT": "test"}, "YOUKA_ENVIRONMENT: Input should be 'development' or 'production'"),
        ({"DATABASE_URL": "mysql://localhost/youka"}, "unsupported scheme 'mysql'"),
        ({"DATABASE_URL": "postgres://nobody@127.0.0.1:1/youka"}, "the database cannot be used"),
        ({"DATABASE_URL": "sqlite:///proc/none/youka.db"}, "the database cannot be used"),
        ({"DATA_DIR": "/proc/none"}, "DATA_DIR /proc/none cannot be made"),
    ],
    ids=["port", "environment", "scheme", "nobody listens", "no folder for the file", "no folder for data"],
)
def test_a_wrong_setting_is_told_in_a_line(tmp_path: Path, wrong: dict[str, str], told: str) -> None:
    runner = Runner(tmp_path, **wrong)
    runner.server.start()
    _wait(lambda: runner.server.ended)
    shown = runner.server.tail()
    assert told in shown
    assert "Traceback" not in shown
    assert "is ready" not in shown
    runner.wait_until_silent()


def test_a_file_that_is_no_database_ends_the_start(runner: Runner, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "youka.db").write_bytes(b"no database" * 500)
    runner.server.start()
    _wait(lambda: runner.server.ended)
    assert "file is not a database" in runner.server.tail()
    assert (folder / "youka.db").read_bytes() == b"no database" * 500


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_a_killed_runner_leaves_nothing_behind(runner: Runner) -> None:
    runner.server.start()
    runner.wait_until_ready()
    runner.server.kill()
    runner.wait_until_silent()


def test_with_postgres_the_worker_is_a_process_of_its_own(tmp_path: Path, postgres_url: str, redis_url: str) -> None:
    runner = Runner(tmp_path, DATABASE_URL=postgres_url, REDIS_URL=redis_url)
    runner.server.start()
    try:
        runner.wait_until_ready()
        done = runner.client("clients.demo")
        assert done.returncode == 0, done.stderr + runner.server.tail()
    finally:
        assert runner.server.stop() == 0


def _wait(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HEALTHY_WITHIN_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)
