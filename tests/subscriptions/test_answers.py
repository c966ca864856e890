"""An answer that is put together as it is sent is the one that ASGI is given, letter by letter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from kernel.buckets import Bucket, Draw, Level
from schema.types.charges import Charge, Price
from subscriptions.answers import answered, whole
from subscriptions.charging import extension_of, headers_of, lines_of
from subscriptions.heads import lines
from subscriptions.negotiation import GRAPHQL_RESPONSE, JSON
from subscriptions.operations import Answer

# The last moment of a year, so that what is added to it is carried all the way.
TAKEN_AT = datetime(2026, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
MORE = b"x-request-id: 1\r\n"
LIMITED = {"code": "RATE_LIMITED", "retryAfterMs": 1_500}


def charge(*, taken: int = 10, full_after_s: float = 2.5) -> Charge:
    draw = Draw("somebody", Bucket(100, 4.0), taken)
    return Charge(draw, Level(90, 0.0, full_after_s), Price(7, 3), TAKEN_AT)


@pytest.mark.parametrize("media_type", [JSON, GRAPHQL_RESPONSE])
@pytest.mark.parametrize(
    "answer",
    [
        Answer(b'{"data":{}}', charge=charge()),
        Answer(b'{"data":{}}'),
        Answer(refused=[{"message": "no", "extensions": LIMITED}]),
        Answer(refused=[{"message": "no", "extensions": {"code": "BAD_REQUEST"}}], charge=charge()),
    ],
)
def test_it_is_the_same_in_both_ways(answer: Answer, media_type: str) -> None:
    sent, reply = whole(answer, media_type=media_type, more=MORE), answered(answer, media_type=media_type)
    assert (sent.status, sent.head, sent.body) == (reply.status, lines(reply.headers) + MORE, reply.body)


@pytest.mark.parametrize("full_after_s", [0.0, 0.0004, 0.001, 2.5, 400_000.25])
def test_a_cost_says_when_the_bucket_is_full(full_after_s: float) -> None:
    cost: dict[str, Any] = orjson.loads(extension_of(charge(full_after_s=full_after_s)))
    expected = (TAKEN_AT + timedelta(seconds=full_after_s)).isoformat(timespec="milliseconds")
    assert cost == {
        "requested": 10,
        "fieldCost": 7,
        "typeCost": 3,
        "actual": None,
        "remaining": 90,
        "limit": 100,
        "resetAt": expected.replace("+00:00", "Z"),
    }


@pytest.mark.parametrize(("actual", "unused", "remaining", "full_after_s"), [(10, 0, 90, 2.5), (4, 6, 96, 1.0)])
def test_what_was_not_used_is_in_the_bucket_again(
    actual: int, unused: int, remaining: int, full_after_s: float
) -> None:
    settled = charge()
    assert settled.settle(actual) == unused
    assert orjson.loads(extension_of(settled))["remaining"] == remaining
    assert settled.remaining == remaining
    assert settled.full_after_s == pytest.approx(full_after_s)
    assert lines_of(settled) == lines(headers_of(settled))


def test_no_bucket_is_fuller_than_full() -> None:
    settled = charge(taken=40, full_after_s=0.5)
    settled.settle(1)
    assert (settled.remaining, settled.full_after_s) == (100, 0.0)
