"""The guide's operation and client work as they stand there."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import parse, validate

from schema.root import build

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "voice.md").read_text(encoding="utf-8")
SCHEMA = build()._schema


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    return str(found)


@pytest.mark.parametrize("document", [block("graphql"), (ROOT / "clients/documents/car_voice.graphql").read_text()])
def test_the_operations_are_valid(document: str) -> None:
    assert validate(SCHEMA, parse(document)) == []


def test_the_client_sends_the_token_of_the_last_proposal_alone() -> None:
    answers: Iterator[dict[str, Any]] = iter(
        [
            {"__typename": "VoiceTurnSuccess", "ssml": "500?", "proposal": {"confirmToken": "first"}},
            {"__typename": "InvalidAmount", "spoken": None, "message": "too much"},
            {"__typename": "VoiceTurnSuccess", "ssml": "300?", "proposal": {"confirmToken": "second"}},
            {"__typename": "VoiceTurnSuccess", "ssml": "done", "proposal": None},
        ]
    )
    sent: list[dict[str, Any]] = []
    said: list[str] = []

    class Request:
        def __init__(self, url: str, body: bytes, headers: dict[str, str]) -> None:
            assert url.endswith("/graphql")
            assert headers["authorization"] == "Bearer token"
            sent.append(json.loads(body)["variables"])

    module: dict[str, Any] = {}
    exec(block("python"), module)  # noqa: S102 - our own example
    module["Request"] = Request
    module["urlopen"] = lambda _request: io.BytesIO(json.dumps({"data": {"voiceTurn": next(answers)}}).encode())
    heard = iter(["充五百", "改成一万", "充三百", "确认", ""])
    module["converse"]("http://127.0.0.1/graphql", "token", "mutation …", lambda: next(heard), said.append)
    assert [each["token"] for each in sent] == [None, "first", None, "second"]
    assert len({each["session"] for each in sent}) == 1
    assert said == ["500?", "too much", "300?", "done"]
