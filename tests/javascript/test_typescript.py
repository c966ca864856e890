"""The TypeScript client: it compiles, its types refuse what is wrong, and it plays a partner against a real house."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.python import new_key_pair
from jobs.imports import load_demo_data
from models.database import connected
from tests.guides import blocks
from tests.house_process import ROOT, RunningHouse, running
from tests.sandbox_fixtures import Sandbox
from tests.services import run

HERE = Path(__file__).parent
CLIENT = ROOT / "clients" / "typescript"
COMPILED_WITHIN_S = 60
PLAYED_WITHIN_S = 60
CARD = "1000111100000000001"


def compiled(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", str(folder / "node_modules/typescript/bin/tsc"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=COMPILED_WITHIN_S,
        check=False,
    )


@pytest.fixture(scope="module")
def client_folder(node_folder: Path) -> Path:
    """A folder with the compiled client."""
    shutil.copytree(CLIENT, node_folder / "client")
    done = compiled(node_folder, "-p", "client")
    assert done.returncode == 0, done.stdout
    return node_folder


def check(folder: Path, name: str, text: str) -> str:
    """Return what the compiler says of a program that uses the client."""
    place = folder / name
    place.mkdir()
    (place / "program.ts").write_text(text, encoding="utf-8")
    options = json.loads((CLIENT / "tsconfig.json").read_text(encoding="utf-8"))["compilerOptions"]
    options |= {"noEmit": True, "declaration": False, "paths": {"youka-client": ["../client/dist/index.d.ts"]}}
    del options["rootDir"], options["outDir"]
    settings = {"compilerOptions": options, "include": ["program.ts"]}
    (place / "tsconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    return compiled(folder, "-p", name).stdout


def test_its_types_refuse_what_is_wrong(client_folder: Path) -> None:
    assert check(client_folder, "typed", (HERE / "typed.ts").read_text(encoding="utf-8")) == ""


def test_the_example_of_the_guide_compiles(client_folder: Path) -> None:
    (example,) = blocks(ROOT / "docs" / "partner-guide.md", "ts")
    assert check(client_folder, "guide", example) == ""
    assert "error TS" in check(client_folder, "broken", example.replace("InvalidAmount", "InvalidAmounts"))


@pytest.fixture
def house(tmp_path: Path, sandbox: Sandbox, sqlite_url: str) -> Iterator[RunningHouse]:
    async def load() -> None:
        async with connected(sqlite_url):
            await load_demo_data()

    run(load())
    with running(tmp_path, sandbox, worker=False, DATABASE_URL=sqlite_url) as house:
        yield house


async def test_it_plays_a_partner(client_folder: Path, house: RunningHouse, tmp_path: Path) -> None:
    private, public = new_key_pair()
    (tmp_path / "public.json").write_text(json.dumps(public))
    added = house.client("jobs", "client", "add", "fleet", "--name", "fleet", "--key", str(tmp_path / "public.json"))
    assert added.returncode == 0, added.stderr
    shutil.copy(HERE / "partner.mjs", client_folder)
    given = {"url": house.url, "sandbox": house.sandbox.url, "client": "fleet", "key": private, "card": CARD}
    process = await asyncio.create_subprocess_exec(
        "node",
        "partner.mjs",
        json.dumps(given),
        cwd=client_folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PLAYED_WITHIN_S):
        said, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    told: dict[str, Any] = {each["what"]: each["value"] for each in map(json.loads, said.splitlines())}
    assert told == {
        "refused": ["AMOUNT_FRACTION_OF_FEN", True],
        "arrived": ["ArrivalEvent", True, True],
        "resumed": [True, 2],
        "failed": [True, "UNAUTHENTICATED"],
        "retried": ["CreateRechargeSuccess", 4, 1, [False, False, False, True]],
        "not repeated": [True, 5],
    }
