"""Faults that somebody asked for, so that unhappy paths can be walked on purpose.

issuer: `accept_then_timeout` accepts and never answers; `refuse` accepts and then refuses by callback;
`refuse_at_once` refuses in the answer; `error_500` fails before anything is accepted; `silent` succeeds without a
callback; `stuck` stays PROCESSING until /control/settle.

payment: `no_callback` is paid without a callback; `timeout` creates the order and never answers; `close_timeout`
closes the order and never answers; `close_lost` never answers a close and leaves the order open; `prepay_error_500` and
`query_error_500` fail these requests; `error_500` fails every request.

refund: `processing` stays so until /control/settle; `abnormal` ends ABNORMAL, `closed` ends CLOSED; `timeout` accepts
and never answers; `error_500` fails every request.

`payment:1900000210` and `refund:1900000210` hold for one sub-merchant only, and go before `payment` and `refund`.

callbacks, of everybody: `hold` keeps each until /control/repeat-callbacks; `twice` sends each two times at once.

face: `timeout` never answers; `error_500` fails every request; `rate_limit` answers that there were too many.

wechat_open: `timeout` never answers; `error_500` fails every call with a token, `token_error_500` the token itself;
`token_expired` ends the token before a call; `quota` and `busy` answer 45009 and -1; of messages, `not_accepted`
answers 43101 and `send_then_timeout` delivers and never answers.

sms: `timeout` sends and never answers; `error_500` fails every request; `limit` answers that the number had too many.

lbs: `timeout` never answers; `error_500` fails every request; `quota` and `quota_per_second` answer 121 and 120;
`garbage` answers what is none.

price_platform: `timeout` never answers; `error_500` fails every request; `garbage` is no document, `forged` is altered
on its way, `old_answer` answers another request; `drift` and `jump` sign other prices than were published, all a little
or far off.

`times` counts requests, and a client that repeats a failed one uses up several.
"""

from __future__ import annotations

from sandbox.store import Document, Kind, Store

OK = "ok"
DEFAULT_ISSUER_DELAY_MS = 150
ISSUER_DELAY_MAX_MS = 600_000
TIMES_MAX = 1_000_000

MODES = {
    "issuer": frozenset({OK, "accept_then_timeout", "refuse", "refuse_at_once", "error_500", "silent", "stuck"}),
    "payment": frozenset(
        {
            OK,
            "no_callback",
            "timeout",
            "close_timeout",
            "close_lost",
            "prepay_error_500",
            "query_error_500",
            "error_500",
        }
    ),
    "refund": frozenset({OK, "processing", "abnormal", "closed", "timeout", "error_500"}),
    "callbacks": frozenset({OK, "hold", "twice"}),
    "face": frozenset({OK, "timeout", "error_500", "rate_limit"}),
    "sms": frozenset({OK, "timeout", "error_500", "limit"}),
    "lbs": frozenset({OK, "timeout", "error_500", "quota", "quota_per_second", "garbage"}),
    "price_platform": frozenset({OK, "timeout", "error_500", "garbage", "forged", "old_answer", "drift", "jump"}),
    "wechat_open": frozenset(
        {
            OK,
            "timeout",
            "error_500",
            "token_error_500",
            "token_expired",
            "quota",
            "busy",
            "not_accepted",
            "send_then_timeout",
        }
    ),
}
# What these name can be said of one sub-merchant.
OF_MERCHANTS = ("payment", "refund")


class FaultUnknown(ValueError):
    """The request for a fault names something that there is not."""


class Faults:
    """Kept in the store. A fault without `times` holds until it is replaced."""

    def __init__(self, store: Store, *, merchants: tuple[str, ...]) -> None:
        self._store = store
        of_merchants = {f"{subject}:{merchant}": MODES[subject] for subject in OF_MERCHANTS for merchant in merchants}
        self._modes = {**MODES, **of_merchants}

    def set(self, wanted: Document) -> None:
        """Take over `{"issuer": mode, "payment": mode, …, "issuer_delay_ms": n, "times": n}`, or raise FaultUnknown."""
        unknown = wanted.keys() - self._modes.keys() - {"times", "issuer_delay_ms"}
        if unknown:
            raise FaultUnknown(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(self._modes)}")
        times = wanted.get("times")
        if times is not None and not _is_count(times, 1, TIMES_MAX):
            raise FaultUnknown("times is not a positive whole number")
        delay_ms = wanted.get("issuer_delay_ms")
        if delay_ms is not None and not _is_count(delay_ms, 0, ISSUER_DELAY_MAX_MS):
            raise FaultUnknown("issuer_delay_ms is not a number of milliseconds")
        modes = {subject: mode for subject, mode in wanted.items() if subject in self._modes}
        for subject, mode in modes.items():
            if mode not in self._modes[subject]:
                raise FaultUnknown(f"{subject} knows {', '.join(sorted(self._modes[subject]))}")
        for subject, mode in modes.items():
            self._store.put(Kind.FAULT, subject, {"mode": mode, "times": None if mode == OK else times})
        if delay_ms is not None:
            self._store.put(Kind.FAULT, "issuer_delay_ms", {"value": delay_ms})

    def clear(self) -> None:
        for subject in (*self._modes, "issuer_delay_ms"):
            self._store.delete(Kind.FAULT, subject)

    def take(self, subject: str, *, among: frozenset[str], merchant: str | None = None) -> str:
        """Return the mode if it is one of those that apply here, counting it as used, and "ok" otherwise."""
        for name in (f"{subject}:{merchant}", subject):
            fault = self._store.get(Kind.FAULT, name)
            if fault is not None and fault["mode"] in among:
                self._use(name, fault)
                return str(fault["mode"])
        return OK

    def _use(self, name: str, fault: Document) -> None:
        if fault["times"] is None:
            return
        left = fault["times"] - 1
        self._store.put(Kind.FAULT, name, {**fault, "times": left} if left else {"mode": OK, "times": None})

    @property
    def issuer_delay_ms(self) -> int:
        return int((self._store.get(Kind.FAULT, "issuer_delay_ms") or {}).get("value", DEFAULT_ISSUER_DELAY_MS))

    def describe(self) -> Document:
        described: Document = {subject: self._store.get(Kind.FAULT, subject) or {"mode": OK} for subject in self._modes}
        return {**described, "issuer_delay_ms": self.issuer_delay_ms}


def _is_count(value: object, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest
