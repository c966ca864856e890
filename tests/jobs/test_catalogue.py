"""The table of commands: it names what the modules register, and a process loads only what it was asked for."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import catalogue

JOBS = Path(__file__).parents[2] / "jobs"
LOADED = """
import sys; from jobs.__main__ import main
sys.argv[1:] = {arguments}
try: main()
finally: print(*sys.modules)
"""


def registered(module: str) -> tuple[str, ...]:
    commands = argparse.ArgumentParser().add_subparsers()
    catalogue.add_commands_of(module, commands)
    return tuple(commands.choices or ())


def loaded(code: str) -> set[str]:
    ended = subprocess.run(
        [sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=False, timeout=120
    )
    return set(ended.stdout.split())


@pytest.mark.parametrize("module", list(catalogue.COMMANDS))
def test_the_table_names_what_a_module_registers(module: str) -> None:
    assert registered(module) == catalogue.COMMANDS[module]


def test_the_table_names_every_module_with_commands() -> None:
    texts = {path.stem: path.read_text(encoding="utf-8") for path in JOBS.glob("*.py")}
    holders = {name for name, text in texts.items() if re.search(r"(?m)^def add_commands\(", text)}
    assert holders == set(catalogue.COMMANDS)


def test_no_command_is_named_twice() -> None:
    assert len(catalogue.MODULE_OF) == sum(map(len, catalogue.COMMANDS.values()))


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["retreat"], ["--nonsense", "retry"], []])
def test_what_is_no_command_is_answered_with_all_of_them(arguments: list[str]) -> None:
    assert list(catalogue.modules_for(arguments)) == list(catalogue.COMMANDS)


def test_a_command_loads_its_own_module_alone() -> None:
    modules = loaded(LOADED.format(arguments=["retry", "--help"]))
    assert {name for name in catalogue.COMMANDS if f"jobs.{name}" in modules} == {"manual_queue"}
    assert not {"graphql", "gateways", "jobs.working"} & modules


def test_the_worker_loads_no_schema() -> None:
    modules = loaded("import jobs.working, sys; print(*sys.modules)")
    assert {"jobs.working", "jobs.assembly", "gateways.assembly"} <= modules
    assert not {"graphql", "strawberry", "schema", "uvicorn"} & modules
