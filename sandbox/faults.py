"""Faults that somebody asked for, so that unhappy paths can be walked on purpose.

issuer: `accept_then_timeout` accepts and never answers; `refuse` accepts and then refuses by callback;
`refuse_at_once` refuses in the answer; `error_500` fails before anything is accepted; `silent` succeeds without a
callback; `stuck` stays PROCESSING until /control/settle; `not_accepted` answers that it is not accepted, and remembers
that; `down` fails questions about the deposit and about cards.

ofpay, juhe, fulu: `accept_then_timeout`, `refuse`, `error_500`, `silent` and `stuck` are as above, and
`error_500_after` fails behind the acceptance; `low_deposit` and `maintenance` answer that it is not accepted,
`refuse_at_once` that this card cannot be recharged, and `unknown_code` with a code that says nothing for certain;
`success_after_failure` and `reversal` tell one end and then the other; `forged` calls back with the wrong end, by
another hand where callbacks are signed; `down` fails every question but submissions.

Bills of issuers: `bill_omits` leaves a line out, `bill_adds` a strange one, `bill_drifts` takes a fen more,
`bill_cut_off` and `bill_altered` damage the file, and `bill_not_ready` has none yet.

payment: `no_callback` is paid without a callback; `timeout` creates the order and never answers; `close_timeout`
closes the order and never answers; `close_lost` never answers a close and leaves the order open; `prepay_error_500` and
`query_error_500` fail these requests; `error_500` fails every request.

refund: `processing` stays so until /control/settle; `abnormal` ends ABNORMAL, `closed` ends CLOSED; `timeout` accepts
and never answers; `error_500` fails every request.

bill: `not_ready` is still being made; `omit` lacks the newest payment, `extra` has one that nobody made, `drift` is a
fen off, all with sums that fit; `altered` is another file than was signed for, `cut_off` lacks its end, `sums`
contradicts itself, `other_day` is of the day before; `error_500` fails every request.

certificates: `timeout` never answers; `error_500` fails every request; `forged` is signed by somebody else,
`wrong_key` sealed so that it does not open.

contract: `timeout` accepts a deduction and never answers; `refuse` refuses it, `fail` accepts it and fails, `stuck`
leaves it until /control/deduction; `no_callback` tells of nothing; `error_500` fails every request.

`payment:1900000210` and `refund:1900000210` hold for one sub-merchant only, and go before `payment` and `refund`.

alipay: `timeout` creates the trade and never answers; `close_timeout`, `close_lost`, `prepay_error_500`,
`query_error_500` and `error_500` as of `payment`; `unsigned`, `sha1` and `altered` spoil the signature of every answer.

alipay_refund: `pending` stays so until /control/settle-alipay; `timeout` accepts and never answers; `error_500` fails
every request.

alipay_notice: `none` tells of nothing; `forged` is signed with another key, `altered` is changed behind its signature,
`sha1` is signed by the older algorithm.

alipay_bill: `omit` leaves the newest line out, `extra` has one that nobody paid, `drift` is a fen off in one, `cut`
lacks its end, `unready` is not made yet, `error_500` fails the download.

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

bank: `timeout` carries a transfer out and never answers, `error_500_after` the same with a 500; `error_500` fails
before anything is taken on; `refuse` refuses for good; `pending` leaves it until /control/bank-transfer; `down` fails
every question; `forged` is altered behind its signature, `old_answer` answers another request.

`times` counts requests, and a client that repeats a failed one uses up several.
"""

from __future__ import annotations

from sandbox.store import Document, Kind, Store

OK = "ok"
DEFAULT_ISSUER_DELAY_MS = 150
ISSUER_DELAY_MAX_MS = 600_000
TIMES_MAX = 1_000_000

BILL_FAULTS = frozenset({"bill_omits", "bill_adds", "bill_drifts", "bill_cut_off", "bill_altered", "bill_not_ready"})
# What an aggregator does to a recharge, from its acceptance on.
AGGREGATOR_ACCEPTING = frozenset(
    {
        "accept_then_timeout",
        "error_500_after",
        "refuse",
        "refuse_at_once",
        "silent",
        "stuck",
        "low_deposit",
        "maintenance",
        "unknown_code",
        "success_after_failure",
        "reversal",
        "forged",
    }
)
OF_AGGREGATOR = AGGREGATOR_ACCEPTING | BILL_FAULTS | {OK, "error_500", "down"}
OF_ISSUER = {"accept_then_timeout", "refuse", "refuse_at_once", "error_500", "silent", "stuck", "not_accepted", "down"}
AGGREGATORS = ("ofpay", "juhe", "fulu")

MODES = {
    "issuer": OF_ISSUER | BILL_FAULTS | {OK},
    **dict.fromkeys(AGGREGATORS, OF_AGGREGATOR),
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
    "alipay": frozenset(
        {
            OK,
            "timeout",
            "close_timeout",
            "close_lost",
            "prepay_error_500",
            "query_error_500",
            "error_500",
            "unsigned",
            "sha1",
            "altered",
        }
    ),
    "alipay_refund": frozenset({OK, "pending", "timeout", "error_500"}),
    "alipay_notice": frozenset({OK, "none", "forged", "altered", "sha1"}),
    "alipay_bill": frozenset({OK, "omit", "extra", "drift", "cut", "unready", "error_500"}),
    "refund": frozenset({OK, "processing", "abnormal", "closed", "timeout", "error_500"}),
    "bill": frozenset(
        {OK, "not_ready", "omit", "extra", "drift", "altered", "cut_off", "sums", "other_day", "error_500"}
    ),
    "certificates": frozenset({OK, "timeout", "error_500", "forged", "wrong_key"}),
    "contract": frozenset({OK, "timeout", "refuse", "fail", "stuck", "no_callback", "error_500"}),
    "callbacks": frozenset({OK, "hold", "twice"}),
    "face": frozenset({OK, "timeout", "error_500", "rate_limit"}),
    "sms": frozenset({OK, "timeout", "error_500", "limit"}),
    "lbs": frozenset({OK, "timeout", "error_500", "quota", "quota_per_second", "garbage"}),
    "bank": frozenset(
        {OK, "timeout", "error_500", "error_500_after", "refuse", "pending", "down", "forged", "old_answer"}
    ),
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
            if not isinstance(mode, str) or mode not in self._modes[subject]:
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
