"""The commands that people settle work with, on a database of their own."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import pytest

from jobs import commands, manual_queue, work_status
from kernel.settings import Settings
from models.database import connected
from tests.services import run

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


class Commands:
    """Parses and runs a command as `python -m jobs` does, and says what came of it."""

    def __init__(self, address: str, shown: pytest.CaptureFixture[str]) -> None:
        self.address, self._shown = address, shown
        self._parser = argparse.ArgumentParser()
        subparsers = self._parser.add_subparsers()
        manual_queue.add_commands(subparsers)
        work_status.add_commands(subparsers)

    def __call__(self, *arguments: str) -> Outcome:
        self._shown.readouterr()
        try:
            parsed = self._parser.parse_args(arguments)
            code = parsed.run(parsed)
        except SystemExit as refused:
            code = refused.code
        shown = self._shown.readouterr()
        return Outcome(code, shown.out, shown.err)

    def database(self, work: Callable[[], Awaitable[T]]) -> T:
        async def opened() -> T:
            async with connected(self.address):
                return await work()

        return run(opened())


@pytest.fixture
def jobs(database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    found = Commands(database_url, capsys)
    monkeypatch.setattr(commands, "get_settings", lambda: Settings(database_url=found.address))
    return found
