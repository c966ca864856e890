"""What the guide for partners says is run here: its examples, its operations, its tables."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from graphql import parse, validate

from domain.webhooks import rules
from kernel.settings import Settings
from tests.webhooks.support import SCHEMA

GUIDE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
BODY = '{"type":"arrivals","data":{"text":"¥100.00 已充值到您的油卡"}}'.encode()
SECRETS = [rules.secret_text(bytes(range(size))) for size in (24, 32)]
IsGenuine = Callable[[str, dict[str, str], bytes], bool]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def in_python(secret: str, headers: dict[str, str], body: bytes) -> bool:
    (example,) = blocks("python")
    module: dict[str, Any] = {}
    exec(example, module)  # noqa: S102 -- our own example.
    return bool(module["is_genuine"](secret, headers, body))


def in_node(secret: str, headers: dict[str, str], body: bytes) -> bool:
    if not shutil.which("node"):
        if os.environ.get("CI"):
            pytest.fail("CI must run the example for Node, and there is no node")
        pytest.skip("there is no node on this machine to run the example for Node")
    (example,) = blocks("js")
    given = json.dumps([secret, headers, base64.b64encode(body).decode()])
    script = f'{example}\nconst [s, h, b] = {given};\nconsole.log(isGenuine(s, h, Buffer.from(b, "base64")));'
    done = subprocess.run(
        ["node", "--input-type=module", "-"], input=script, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return {"true": True, "false": False}[done.stdout.strip()]


@pytest.mark.parametrize("is_genuine", [in_python, in_node])
def test_the_examples_verify_what_we_send_and_nothing_else(is_genuine: IsGenuine) -> None:
    now = datetime.now(UTC)
    headers = rules.signed_headers(SECRETS, message_id="msg_1", body=BODY, now=now)
    assert is_genuine(SECRETS[0], headers, BODY)
    assert is_genuine(SECRETS[1], headers, BODY)
    assert not is_genuine(rules.secret_text(bytes(32)), headers, BODY)
    assert not is_genuine(SECRETS[0], headers, BODY + b" ")
    assert not is_genuine(SECRETS[0], {**headers, "webhook-id": "msg_2"}, BODY)
    assert not is_genuine(SECRETS[0], {**headers, "webhook-signature": "v1,AAAA"}, BODY)
    stale = rules.signed_headers(SECRETS, message_id="msg_1", body=BODY, now=now - timedelta(minutes=6))
    assert not is_genuine(SECRETS[0], stale, BODY)


def test_the_operations_are_valid() -> None:
    operations = blocks("graphql")
    assert len(operations) == 2
    for operation in operations:
        assert validate(SCHEMA.core, parse(operation)) == []
    (document,) = re.findall(r'document: "(.*?)"', operations[0])
    assert validate(SCHEMA.core, parse(document)) == []


def test_the_retry_table_is_the_rules() -> None:
    (row,) = re.findall(r"\| wait \|(.*)\|", GUIDE)
    units = {"s": 1, "min": 60, "h": 3_600}
    waits = [float(number) * units[unit] for number, unit in (cell.split() for cell in row.split("|"))]
    assert tuple(waits) == rules.RETRY_DELAYS_S


def test_the_limits_are_the_settings() -> None:
    rows = re.findall(r"\| `YOUKA_(\w+)` \| (?:`\[(\d+)\]`|(\d+)) \|", GUIDE)
    assert len(rows) == GUIDE.count("| `YOUKA_")
    for name, many, one in rows:
        default = Settings.model_fields[name.lower()].default
        assert default == ((int(many),) if many else int(one)), name
