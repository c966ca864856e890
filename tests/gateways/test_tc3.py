"""Signatures of Tencent Cloud's API 3.0."""

from __future__ import annotations

from typing import Any

import pytest

from gateways.tc3 import Credentials, authorization

# The worked example of "签名方法 v3". Its keys are printed as asterisks, and the signature is that of the asterisks.
CREDENTIALS = Credentials(secret_id="AKID" + "*" * 32, secret_key="*" * 32)
BODY = rb'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}'
REQUEST: dict[str, Any] = {
    "service": "cvm",
    "host": "cvm.tencentcloudapi.com",
    "action": "DescribeInstances",
    "content_type": "application/json; charset=utf-8",
    "timestamp": 1551113065,
    "body": BODY,
}
PUBLISHED = "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f"


def test_the_published_example() -> None:
    assert authorization(CREDENTIALS, **REQUEST) == (
        f"TC3-HMAC-SHA256 Credential={CREDENTIALS.secret_id}/2019-02-25/cvm/tc3_request, "
        f"SignedHeaders=content-type;host;x-tc-action, Signature={PUBLISHED}"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"body": BODY + b" "},
        {"host": "cvm.tencentcloudapi.com:443"},
        {"action": "DescribeInstance"},
        {"content_type": "application/json"},
        {"service": "faceid"},
        {"timestamp": 1551113066},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_part_is_covered(change: dict[str, Any]) -> None:
    assert PUBLISHED not in authorization(CREDENTIALS, **{**REQUEST, **change})


def test_another_key_signs_otherwise_and_does_not_show() -> None:
    other = Credentials(secret_id=CREDENTIALS.secret_id, secret_key="another-key")
    assert PUBLISHED not in authorization(other, **REQUEST)
    assert "another-key" not in repr(other)


def test_the_day_is_that_of_greenwich() -> None:
    """1551139200 is midnight of the 26th in UTC, when it is eight in the morning in Shanghai."""
    last, first = [authorization(CREDENTIALS, **{**REQUEST, "timestamp": at}) for at in (1551139199, 1551139200)]
    assert "/2019-02-25/cvm" in last
    assert "/2019-02-26/cvm" in first
