"""Signatures that the official implementation accepts, and the tables of retries and states."""

from __future__ import annotations

import itertools
import os
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from domain.webhooks import rules
from domain.webhooks.rules import RetryPolicy, SecretMalformed, Trigger
from kernel.states import WebhookState

NOW = datetime(2026, 4, 22, 1, 2, 3, tzinfo=UTC)
POLICY = RetryPolicy(give_up_after=timedelta(hours=24), retry_after_max=timedelta(hours=1))
KEYS = st.binary(min_size=24, max_size=64)


@given(KEYS, st.text(alphabet="0123456789abcdef", min_size=1), st.text())
def test_a_signature_is_what_the_official_implementation_makes(key: bytes, identifier: str, body: str) -> None:
    secret = rules.secret_text(key)
    ours = rules.signature(
        secret, message_id=f"msg_{identifier}", timestamp_s=int(NOW.timestamp()), body=body.encode("utf-8", "replace")
    )
    data = body.encode("utf-8", "replace").decode()
    assert ours == Webhook(secret).sign(f"msg_{identifier}", NOW, data)


def test_each_valid_secret_signs() -> None:
    secrets = [rules.secret_text(os.urandom(32)) for _ in range(2)]
    body = '{"data":"到账"}'.encode()
    headers = rules.signed_headers(secrets, message_id="msg_1", body=body, now=datetime.now(UTC))
    for secret in secrets:
        assert Webhook(secret).verify(body, headers) == {"data": "到账"}
    with pytest.raises(WebhookVerificationError):
        Webhook(rules.secret_text(os.urandom(32))).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secrets[0]).verify(body + b" ", headers)


@given(KEYS)
def test_a_secret_is_read_as_it_is_written(key: bytes) -> None:
    assert rules.secret_key(rules.secret_text(key)) == key


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_AAAA", "whsec_???", "whsk_" + "A" * 44, "A" * 44, "whsec_" + "A" * 100]
)
def test_another_shape_is_no_secret_and_is_not_repeated(text: str) -> None:
    with pytest.raises(SecretMalformed) as refused:
        rules.secret_key(text)
    assert len(text) < 10 or text not in str(refused.value)
    for size in (23, 65):
        with pytest.raises(SecretMalformed):
            rules.secret_text(bytes(size))


def test_an_event_has_one_id_for_each_webhook() -> None:
    webhook, other = uuid4(), uuid4()
    assert rules.message_id(webhook, "cursor") == rules.message_id(webhook, "cursor")
    ids = {rules.message_id(each, cursor) for each in (webhook, other) for cursor in ("cursor", "later")}
    assert len(ids) == 4
    assert all(each.startswith("msg_") and "." not in each for each in ids)


def test_the_retry_table() -> None:
    waits = [rules.retry_delay_s(attempt, jitter=0) for attempt in range(1, 9)]
    assert waits == [5, 30, 120, 600, 1_800, 3_600, 3_600, 3_600]
    assert rules.retry_delay_s(1, jitter=1) == pytest.approx(6)


def next_at(now: datetime, *, attempt: int = 6, retry_after_s: float | None = None) -> datetime | None:
    return rules.next_attempt_at(
        POLICY, attempt=attempt, failing_since=NOW, retry_after_s=retry_after_s, jitter=0.5, now=now
    )


def test_the_last_attempt_comes_when_the_day_ends_and_none_after_it() -> None:
    day = timedelta(hours=24)
    assert next_at(NOW + day - timedelta(seconds=1)) == NOW + day
    assert next_at(NOW + day) is None
    assert next_at(NOW, retry_after_s=120.0) == NOW + timedelta(seconds=3_960)
    assert next_at(NOW, attempt=1, retry_after_s=1_800.0) == NOW + timedelta(seconds=1_800)
    assert next_at(NOW, attempt=1, retry_after_s=1e12) == NOW + timedelta(hours=1)
    assert next_at(NOW, attempt=1, retry_after_s=0.0) == NOW + timedelta(seconds=5.5)


def test_the_table_of_states() -> None:
    led = {pair: rules.next_state(*pair) for pair in itertools.product(WebhookState, Trigger)}
    assert {pair for pair, state in led.items() if state is None} == {
        (WebhookState.PAUSED, Trigger.SUSPEND),
        (WebhookState.SUSPENDED, Trigger.SUSPEND),
    }
    assert {state for (_, trigger), state in led.items() if trigger is Trigger.RESUME} == {WebhookState.ACTIVE}
    assert {state for (_, trigger), state in led.items() if trigger is Trigger.PAUSE} == {WebhookState.PAUSED}
