"""Faults that somebody asked for, so that unhappy paths can be walked on purpose.

issuer: `accept_then_timeout` accepts and never answers; `refuse` accepts and then refuses by callback;
`refuse_at_once` refuses in the answer; `error_500` fails before anything is accepted; `silent` succeeds without a
callback; `stuck` stays PROCESSING until /control/settle. payment: `no_callback` is paid without a callback; `timeout`
creates the order and never answers; `error_500` fails every request. refund: `processing` stays so until
/control/settle; `abnormal` ends ABNORMAL; `error_500` fails every request.

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
    "payment": frozenset({OK, "no_callback", "timeout", "error_500"}),
    "refund": frozenset({OK, "processing", "abnormal", "error_500"}),
}


class FaultUnknown(ValueError):
    """The request for a fault names something that there is not."""


class Faults:
    """Kept in the store. A fault without `times` holds until it is replaced."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def set(self, wanted: Document) -> None:
        """Take over `{"issuer": mode, "payment": mode, "refund": mode, "issuer_delay_ms": n, "times": n}`, or raise."""
        unknown = wanted.keys() - MODES.keys() - {"times", "issuer_delay_ms"}
        if unknown:
            raise FaultUnknown(f"unknown: {', '.join(sorted(unknown))}")
        times = wanted.get("times")
        if times is not None and not _is_count(times, 1, TIMES_MAX):
            raise FaultUnknown("times is not a positive whole number")
        delay_ms = wanted.get("issuer_delay_ms")
        if delay_ms is not None and not _is_count(delay_ms, 0, ISSUER_DELAY_MAX_MS):
            raise FaultUnknown("issuer_delay_ms is not a number of milliseconds")
        modes = {subject: mode for subject, mode in wanted.items() if subject in MODES}
        for subject, mode in modes.items():
            if mode not in MODES[subject]:
                raise FaultUnknown(f"{subject} knows {', '.join(sorted(MODES[subject]))}")
        for subject, mode in modes.items():
            self._store.put(Kind.FAULT, subject, {"mode": mode, "times": None if mode == OK else times})
        if delay_ms is not None:
            self._store.put(Kind.FAULT, "issuer_delay_ms", {"value": delay_ms})

    def clear(self) -> None:
        for subject in (*MODES, "issuer_delay_ms"):
            self._store.delete(Kind.FAULT, subject)

    def mode(self, subject: str) -> str:
        return str((self._store.get(Kind.FAULT, subject) or {}).get("mode", OK))

    def take(self, subject: str, *, among: frozenset[str]) -> str:
        """Return the mode if it is one of those that apply here, counting it as used, and "ok" otherwise."""
        fault = self._store.get(Kind.FAULT, subject)
        if fault is None or fault["mode"] not in among:
            return OK
        mode = str(fault["mode"])
        if fault["times"] is not None:
            fault["times"] -= 1
            if fault["times"] == 0:
                fault = {"mode": OK, "times": None}
            self._store.put(Kind.FAULT, subject, fault)
        return mode

    @property
    def issuer_delay_ms(self) -> int:
        return int((self._store.get(Kind.FAULT, "issuer_delay_ms") or {}).get("value", DEFAULT_ISSUER_DELAY_MS))

    def describe(self) -> Document:
        described: Document = {subject: self._store.get(Kind.FAULT, subject) or {"mode": OK} for subject in MODES}
        return {**described, "issuer_delay_ms": self.issuer_delay_ms}


def _is_count(value: object, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest
