"""Hostile requests against the real server: none of them is an error of ours, and nobody else waits for them."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from tests.hostile_documents import documents
from tests.house_process import RunningHouse, running
from tests.sandbox_fixtures import Sandbox

JSON = "application/json"
# A shared machine has pauses of its own; what a document takes of a processor, tests/schema/test_limits.py asserts.
STALL_MAX_S = 3.0
GROWTH_MAX_BYTES = 100 * 1024 * 1024
MUTATION = 'mutation { bindCard(input: {number: "1000111100000000001", clientMutationId: "x"}) { __typename } }'


def bodies() -> dict[str, tuple[bytes, str]]:
    """Return bodies and their content types."""
    deep = 100_000
    raw = {
        "null": b"null", "a number": b"1", "a string": b'"{ __typename }"', "true": b"true", "nothing": b"",
        "a list": b"[]", "deep lists": b"[" * deep + b"]" * deep,
        "deep objects": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
        "deep and open": b"[" * deep, "a huge number": b"9" * deep,
        "a huge number in variables": b'{"query":"{__typename}","variables":{"a":' + b"9" * deep + b"}}",
        "deep variables": b'{"query":"{__typename}","variables":{"a":' + b"[" * deep + b"]" * deep + b"}}",
        "nested variables": b'{"query":"{__typename}","variables":{"a":' + b"[" * 500 + b"]" * 500 + b"}}",
        "large variables": b'{"query":"{__typename}","variables":{"a":"' + b"x" * deep + b'"}}',
        "wide variables": b'{"query":"{__typename}","variables":{"a":[' + b"1," * deep + b"1]}}",
        "no UTF-8": b'{"query":"{ __typename \xff\xfe }"}', "UTF-16": '{"query":"{__typename}"}'.encode("utf-16"),
        "half a surrogate": b'{"query":"{ __typename } # \\ud800"}', "a zero byte": b'{"query":"\x00"}',
        "NaN": b'{"query":"{__typename}","variables":{"a":NaN}}', "too much": b" " * 2_000_000,
        "a batch": json.dumps([{"query": MUTATION}] * 100).encode(),
        "other types": b'{"query":["{__typename}"],"variables":1,"operationName":{},"extensions":[]}',
        "a persisted query that is none": b'{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}',
        "a persisted query of another type": b'{"extensions":{"persistedQuery":[1]}}',
    }  # fmt: skip
    form = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "",
            "application/json; charset=utf-7", "application/graphql", "a/b; c=\"")  # fmt: skip
    mutation = json.dumps({"query": MUTATION}).encode()
    return {name: (body, JSON) for name, body in raw.items()} | {f"as {each}": (mutation, each) for each in form}


class Attack:
    """What was sent and answered, beside a bystander who asks all the time."""

    def __init__(self, house: RunningHouse) -> None:
        self._house = house
        self.statuses: dict[str, set[int]] = {}
        self.waits_s: list[float] = []
        self.answered = 0

    async def run(self) -> None:
        done = asyncio.Event()
        bystander = asyncio.create_task(self._stand_by(done))
        try:
            async with httpx.AsyncClient(base_url=self._house.url, trust_env=False, timeout=30) as client:
                for name, text in documents().items():
                    await self._send(client, name, json.dumps({"query": text}).encode(), JSON)
                for name, (content, content_type) in bodies().items():
                    await self._send(client, name, content, content_type)
                for address in self._addresses():
                    answer = await client.get(address)
                    self.statuses.setdefault(address[:40], set()).add(answer.status_code)
        finally:
            done.set()
            await bystander

    async def _send(self, client: httpx.AsyncClient, name: str, body: bytes, content_type: str) -> None:
        headers = {"content-type": content_type} if content_type else {}
        with suppress(httpx.WriteError, httpx.ReadError):
            answer = await client.post("/graphql", content=body, headers=headers)
            self.statuses.setdefault(name, set()).add(answer.status_code)
            self.answered += 1
            codes = {error["extensions"]["code"] for error in answer.json().get("errors", [])}
            assert "INTERNAL" not in codes, (name, codes)
            assert "Traceback" not in answer.text

    def _addresses(self) -> list[str]:
        return [
            "/graphql", "/graphql?query=%FF%FE", "/graphql?query={__typename}&variables=" + "[" * 5_000,
            "/graphql?variables=1", "/graphql?query=" + "{a" * 5_000, "/graphql?extensions={}&query=mutation{x}",
            "/graphql?query={__typename}&query=x&" + "&".join(f"a{i}=1" for i in range(3_000)),
        ]  # fmt: skip

    async def _stand_by(self, done: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        async with httpx.AsyncClient(base_url=self._house.url, trust_env=False, timeout=30) as client:
            while not done.is_set():
                began_s = loop.time()
                answer = await client.post("/graphql", json={"query": "{ viewer { __typename } }"})
                self.waits_s.append(loop.time() - began_s)
                assert answer.json()["data"] == {"viewer": None}
                await asyncio.sleep(0.01)


def memory_of(house: RunningHouse) -> int:
    """Return the largest memory that the server has had, in bytes."""
    for line in Path(f"/proc/{house.server.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1_024
    raise AssertionError("no such line")


async def test_hostile_requests_leave_no_trace(tmp_path: Path, sandbox: Sandbox, sqlite_url: str) -> None:
    measures = sys.platform == "linux"
    environment: dict[str, Any] = {"DATABASE_URL": sqlite_url, "YOUKA_LOG_FORMAT": "json"}
    with running(tmp_path, sandbox, worker=False, **environment) as house:
        attack = Attack(house)
        before = memory_of(house) if measures else 0
        await attack.run()
        if measures:
            assert memory_of(house) - before < GROWTH_MAX_BYTES
        assert house.server.stop() is not None
        log = house.server.log.read_text(errors="replace")
    assert attack.answered > 50
    assert {name: found for name, found in attack.statuses.items() if max(found) >= 500} == {}
    assert "Traceback" not in log
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert [line for line in lines if line["level"] in {"error", "critical"}] == []
    assert len(attack.waits_s) > 10
    assert max(attack.waits_s) < STALL_MAX_S, f"median {median(attack.waits_s)}"
