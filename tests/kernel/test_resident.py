"""What a process gives back once it is started, and what it must keep."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from kernel import resident
from kernel.resident import as_in_files, let_go, letting_go, untouched

SMAPS = """\
55d000000000-55d000001000 r-xp 00000000 fe:01 42 /usr/bin/python with space
Size:                  4 kB
Anonymous:             0 kB
55d000001000-55d000003000 r--p 00001000 fe:01 42 /usr/lib/relocated.so
Anonymous:             4 kB
55d000003000-55d000007000 r--p 00003000 fe:01 42 /usr/lib/constants.so
Anonymous:             0 kB
55d000007000-55d000008000 rw-p 00003000 fe:01 42 /usr/lib/data.so
Anonymous:             0 kB
55d000008000-55d000009000 r--s 00003000 fe:01 42 /var/shared
Anonymous:             0 kB
7f0000000000-7f0000001000 r--p 00000000 00:00 0
Anonymous:             0 kB
7f0000001000-7f0000002000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
"""
RELEASE = """
import app
from kernel.resident import as_in_files, let_go
def pages():
    return sum(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssFile"))
before, given, after = pages(), let_go(as_in_files()), pages()
import hashlib, ssl
print(before, given // 1024, after, ssl.create_default_context().check_hostname, hashlib.sha256(b"").hexdigest()[:4])
"""


def test_only_what_is_as_in_its_file_is_given_back() -> None:
    lines = SMAPS.splitlines()
    assert list(untouched(SMAPS)) == [lines[0], lines[5]]
    assert [*map(resident._range_of, untouched(SMAPS))] == [(0x55D000000000, 0x1000), (0x55D000003000, 0x4000)]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_server_is_smaller_afterwards_and_goes_on() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", RELEASE], env=os.environ, capture_output=True, text=True, check=True, timeout=120
    )
    before, given, after, *works = ended.stdout.split()
    assert int(given) > 0
    assert int(after) < int(before) / 2
    assert works == ["True", "e3b0"]


async def test_it_is_given_back_again_and_only_what_was_there_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    smaps, maps = tmp_path / "smaps", tmp_path / "maps"
    lines = SMAPS.splitlines()
    smaps.write_text(SMAPS)
    # One was unmapped meanwhile, another file is mapped in its place, and one is new.
    maps.write_text("\n".join([lines[5], lines[0].replace("42", "43"), lines[5].replace("55d", "55e")]))
    monkeypatch.setattr(resident, "SMAPS", smaps)
    monkeypatch.setattr(resident, "MAPS", maps)
    given: list[list[str]] = []
    again = asyncio.Event()

    def give(mappings: Iterable[str]) -> int:
        given.append(sorted(mappings))
        if len(given) > 2:
            again.set()
        return 0

    monkeypatch.setattr(resident, "let_go", give)
    async with letting_go(interval_s=0.001):
        assert given == [[lines[0], lines[5]]]
        await again.wait()
    assert given[1:3] == [[lines[5]]] * 2
    ended = len(given)
    await asyncio.sleep(0.01)
    assert len(given) == ended


def test_where_nothing_is_told_nothing_is_given_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(resident, "SMAPS", tmp_path / "smaps")
    assert let_go(as_in_files()) == 0
