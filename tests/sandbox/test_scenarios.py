"""Scenarios that are played from files, and the wire log beside them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from sandbox.scenario import Player, ScenarioWrong, read
from sandbox.wire_log import WireLog
from tests.sandbox_fixtures import ROOT, Sandbox

FILES = sorted((ROOT / "sandbox" / "scenarios").glob("*.json"))


@pytest.fixture
def player(sandbox: Sandbox) -> Player:
    return Player(sandbox.client)


class TestScenarios:
    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_every_file_can_be_read(self, path: Path) -> None:
        scenario = read(path)
        assert scenario["title"]
        assert scenario["steps"]

    @pytest.mark.parametrize("name", ["price-jump", "expired-token"])
    def test_those_that_need_no_house(self, player: Player, name: str) -> None:
        player.play(read(ROOT / "sandbox" / "scenarios" / f"{name}.json"))
        assert player.saved

    def test_what_is_saved_is_used(self, player: Player, sandbox: Sandbox) -> None:
        steps: list[Any] = [
            {
                "control": "prices",
                "with": {"province_code": "990001", "zones": {"A": {"92": 7}}},
                "save": {"v": "version"},
            },
            {"wait_until": {"list": "price_documents", "where": {"province_code": "990001", "version": "$v"}}},
            {"sleep_ms": 1},
        ]
        player.play({"steps": steps})
        assert player.saved == {"v": 1}

    @pytest.mark.parametrize(
        ("step", "problem"),
        [
            ({}, "exactly one"),
            ({"control": "faults", "sleep_ms": 1}, "exactly one"),
            ({"control": "faults", "with": {"issuer": "nonsense"}}, "answered 400"),
            ({"control": "faults", "with": {"issuer": "$nothing"}}, "nothing was saved"),
            ({"control": "faults", "with": {}, "save": {"a": "b"}}, "no b to save"),
            ({"wait_until": {"list": "nonsense"}}, "no list"),
            ({"wait_until": {"list": "payments", "where": {"x": 1}}, "within_s": 0.1}, "came to be"),
            ({"sleep_ms": 10**9}, "not a number"),
        ],
    )
    def test_a_step_that_is_wrong_is_named(self, player: Player, step: Any, problem: str) -> None:
        with pytest.raises(ScenarioWrong, match=rf"step 2: .*{problem}"):
            player.play({"steps": [{"sleep_ms": 0}, step]})

    def test_the_command(self, sandbox: Sandbox, tmp_path: Path) -> None:
        path = tmp_path / "one.json"
        path.write_text(json.dumps({"title": "one", "steps": [{"control": "wx-login", "with": {"user": "$who"}}]}))
        command = [sys.executable, "-m", "sandbox.scenario", str(path), "--set", "who=demo"]
        environment = {"SANDBOX_PORT": str(sandbox.port), "PATH": ""}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("played: one")


class TestWireLog:
    def test_requests_are_noted_without_secrets(self, sandbox: Sandbox) -> None:
        code = sandbox.login_code()
        parameters = {"appid": "wx1", "secret": "app-secret-1", "js_code": code}
        sandbox.client.get("/sns/jscode2session", params=parameters, headers={"Authorization": "Bearer hidden-1"})
        path = sandbox.data_dir / "sandbox" / "wire.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        mine = [line for line in lines if line["path"] == "/sns/jscode2session"][-1]
        assert (mine["method"], mine["status"]) == ("GET", 200)
        assert mine["parameters"] == ["appid", "secret", "js_code"]
        assert mine["headers"]["authorization"] == "***"
        for hidden in ("app-secret-1", "hidden-1", code):
            assert hidden not in path.read_text()
        assert not any(line["path"].startswith("/control") for line in lines)

    async def test_it_is_bounded(self, tmp_path: Path) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 204, "headers": []})

        async def send(message: Any) -> None:
            return

        path = tmp_path / "wire.jsonl"
        log = WireLog(app, path=path, size_max_bytes=2_000)
        scope = {"type": "http", "method": "GET", "path": "/x", "query_string": b"", "headers": []}
        for _ in range(100):
            await log(scope, send, send)  # type: ignore[arg-type]
        log.close()
        sizes = [each.stat().st_size for each in tmp_path.iterdir()]  # noqa: ASYNC240 -- the log writes likewise.
        assert len(sizes) == 2
        assert max(sizes) <= 2_000
