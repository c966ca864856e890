from __future__ import annotations

from typing import Any

import pytest

from kernel.logs import MASK, redact


@pytest.mark.parametrize(
    "name",
    ["authorization", "access_token", "api_v3_key", "card_number", "number", "phone", "openid", "pay_sign_token"],
)
def test_secrets_are_masked_by_name(name: str) -> None:
    event: dict[str, Any] = {"event": "x", name: "s3cret"}
    assert redact(None, "info", event)[name] == MASK


def test_long_digits_are_masked_wherever_they_stand() -> None:
    event: dict[str, Any] = {
        "event": "card 1000111100000000001 of 13800138000 for 50000 fen",
        "nested": {"list": ["9012345678901234"], "amount_fen": 123456789012},
    }
    redacted = redact(None, "info", event)
    assert redacted["event"] == "card ***0001 of ***8000 for 50000 fen"
    assert redacted["nested"] == {"list": ["***1234"], "amount_fen": 123456789012}
