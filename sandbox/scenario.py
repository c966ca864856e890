"""`python -m sandbox.scenario FILE`: play a scenario on the running sandbox, so that a bug can be replayed.

A scenario is a JSON file: `{"title": …, "steps": [step, …]}`. A step is one of

    {"control": "faults", "with": {"issuer": "silent"}, "save": {"code": "code"}}
    {"wait_until": {"list": "payments", "where": {"state": "SUCCESS"}}, "within_s": 30, "save": {"no": "out_trade_no"}}
    {"sleep_ms": 500}

`control` posts to `/control/…`; `wait_until` asks `/control/state` until a row of a list has all the values. `save`
keeps members of the answer, or of the row, under names, which later steps write as `"$name"`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from kernel.settings import get_settings

Document = dict[str, Any]

STEPS_MAX = 1_000
WITHIN_DEFAULT_S = 30.0
WITHIN_MAX_S = 600.0
SLEEP_MAX_MS = 60_000
POLL_INTERVAL_S = 0.05
REQUEST_TIMEOUT_S = 10.0
DONE, FAILED = 0, 2
KINDS = ("control", "wait_until", "sleep_ms")


class ScenarioWrong(ValueError):
    """The file is no scenario, or a step of it did not come true; the message says which."""


class Player:
    """Plays steps one after another, and keeps what they save."""

    def __init__(self, client: httpx.Client, saved: Document | None = None) -> None:
        self._client = client
        self.saved: Document = dict(saved or {})

    def play(self, scenario: Document) -> None:
        """Raises ScenarioWrong with the number of the step."""
        steps = scenario.get("steps")
        if not isinstance(steps, list) or not 0 < len(steps) <= STEPS_MAX:
            raise ScenarioWrong(f"steps is not a list of 1 to {STEPS_MAX}")
        for number, step in enumerate(steps, 1):
            try:
                self._step(step)
            except ScenarioWrong as error:
                raise ScenarioWrong(f"step {number}: {error}") from None

    def _step(self, step: Any) -> None:
        kinds = [kind for kind in KINDS if isinstance(step, dict) and kind in step]
        if len(kinds) != 1:
            raise ScenarioWrong(f"it has not exactly one of {', '.join(KINDS)}")
        if kinds == ["control"]:
            found = self._control(str(step["control"]), self._filled(step.get("with", {})))
        elif kinds == ["wait_until"]:
            found = self._wait(self._filled(step["wait_until"]), step.get("within_s", WITHIN_DEFAULT_S))
        else:
            time.sleep(_number(step["sleep_ms"], SLEEP_MAX_MS) / 1000)
            found = {}
        for name, member in step.get("save", {}).items():
            if member not in found:
                raise ScenarioWrong(f"there is no {member} to save")
            self.saved[name] = found[member]

    def _control(self, action: str, body: Any) -> Document:
        answer = self._client.post(f"/control/{action}", json=body)
        if not answer.is_success:
            raise ScenarioWrong(f"control {action} answered {answer.status_code}: {answer.text[:200]}")
        return dict(answer.json())

    def _wait(self, wanted: Any, within_s: Any) -> Document:
        name, where = wanted.get("list"), wanted.get("where", {})
        deadline_s = time.monotonic() + _number(within_s, WITHIN_MAX_S)
        while True:
            rows = self._client.get("/control/state").raise_for_status().json().get(name)
            if not isinstance(rows, list):
                raise ScenarioWrong(f"there is no list {name}")
            for row in rows:
                if all(row.get(member) == value for member, value in where.items()):
                    return dict(row)
            if time.monotonic() > deadline_s:
                raise ScenarioWrong(f"no row of {name} came to be {json.dumps(where, ensure_ascii=False)}")
            time.sleep(POLL_INTERVAL_S)

    def _filled(self, value: Any) -> Any:
        """Return the value with every `"$name"` replaced by what was saved under the name."""
        if isinstance(value, dict):
            return {name: self._filled(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self._filled(each) for each in value]
        if isinstance(value, str) and value.startswith("$"):
            if value[1:] not in self.saved:
                raise ScenarioWrong(f"nothing was saved as {value}")
            return self.saved[value[1:]]
        return value


def _number(value: Any, maximum: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= maximum:
        raise ScenarioWrong(f"{value!r} is not a number from 0 to {maximum}")
    return float(value)


def read(path: Path) -> Document:
    """Raises ScenarioWrong."""
    try:
        scenario = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ScenarioWrong(f"{path} cannot be read: {error}") from None
    if not isinstance(scenario, dict):
        raise ScenarioWrong(f"{path} is not an object")
    return scenario


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.scenario", description="Play a scenario on the sandbox.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="what steps write as $NAME")
    given = parser.parse_args(arguments)
    saved: Document = dict(each.partition("=")[::2] for each in given.set)
    try:
        scenario = read(given.file)
        with httpx.Client(base_url=get_settings().sandbox_url, trust_env=False, timeout=REQUEST_TIMEOUT_S) as client:
            player = Player(client, saved)
            player.play(scenario)
    except (ScenarioWrong, httpx.HTTPError) as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return FAILED
    sys.stdout.write(f"played: {scenario.get('title', given.file.name)}\n{json.dumps(player.saved, indent=2)}\n")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
