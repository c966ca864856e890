"""What is noted of every call to a third party: how often, how long, how it ended, and a span.

Neither addresses nor bodies are noted, since both hold secrets and numbers of users.
"""

from __future__ import annotations

import time
from enum import StrEnum

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from prometheus_client import Counter, Gauge, Histogram

CALLS = Counter("youka_third_party_calls", "Calls to third parties by how they ended.", ["party", "outcome"])
SECONDS = Histogram(
    "youka_third_party_call_seconds",
    "How long calls to third parties took that were sent.",
    ["party"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0),
)
UNDER_WAY = Gauge("youka_third_party_calls_under_way", "Calls to third parties that are under way.", ["party"])
BREAKER_OPEN = Gauge(
    "youka_third_party_breaker_open",
    "1 where the last caller found the circuit breaker open, 0.5 where it was let through to try, else 0.",
    ["party"],
)


class Outcome(StrEnum):
    """How a call ended, for those who watch over the service."""

    ANSWERED = "answered"  # also with a refusal of what was asked
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    TRANSPORT_ERROR = "transport_error"
    GIVEN_UP = "given_up"  # by whoever asked
    BREAKER_OPEN = "breaker_open"  # not sent
    NO_PLACE = "no_place"  # not sent
    ADDRESS_REFUSED = "address_refused"  # not sent, as the receiver has no address that may be called


class ObservedCall:
    """One call that is sent: open until `end`, which may be called again without effect."""

    def __init__(self, party: str, method: str) -> None:
        self._party, self._began_s, self._ended = party, time.monotonic(), False
        # The tracer is asked for anew, since whoever exports traces may have set its provider only now.
        self._span = trace.get_tracer("youka.gateways").start_span(
            f"{party} {method}", kind=SpanKind.CLIENT, attributes={"peer.service": party, "http.request.method": method}
        )
        UNDER_WAY.labels(party).inc()

    def end(self, outcome: Outcome, *, status: int | None = None) -> None:
        if self._ended:
            return
        self._ended = True
        UNDER_WAY.labels(self._party).dec()
        SECONDS.labels(self._party).observe(time.monotonic() - self._began_s)
        CALLS.labels(self._party, outcome).inc()
        self._span.set_attribute("youka.outcome", outcome.value)
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)
        if outcome is not Outcome.ANSWERED:
            self._span.set_status(Status(StatusCode.ERROR, outcome.value))
        self._span.end()


def delivered(party: str, outcome: Outcome, *, seconds: float) -> None:
    """Note a call whose sender has deadlines and bounds of its own."""
    CALLS.labels(party, outcome).inc()
    SECONDS.labels(party).observe(seconds)


def not_sent(party: str, outcome: Outcome) -> None:
    """Note a call that was refused before it went out."""
    CALLS.labels(party, outcome).inc()
    span = trace.get_tracer("youka.gateways").start_span(f"{party} refused", kind=SpanKind.INTERNAL)
    span.set_attributes({"peer.service": party, "youka.outcome": outcome.value})
    span.set_status(Status(StatusCode.ERROR, outcome.value))
    span.end()
