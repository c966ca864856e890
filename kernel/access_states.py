"""The words of signing in and of what a user protects; the other words of the house are in `kernel.states`."""

from __future__ import annotations

from enum import StrEnum


class StepUpAction(StrEnum):
    """What takes a second proof of who asks."""

    SET_PAYMENT_PASSWORD = "SET_PAYMENT_PASSWORD"  # noqa: S105 -- the name of an action.
    CHANGE_PAYMENT_PASSWORD = "CHANGE_PAYMENT_PASSWORD"  # noqa: S105 -- the same.
    RESET_PAYMENT_PASSWORD = "RESET_PAYMENT_PASSWORD"  # noqa: S105 -- the same.
    RAISE_SPENDING_LIMITS = "RAISE_SPENDING_LIMITS"
    CREATE_MANDATE = "CREATE_MANDATE"
    UNBIND_CARD = "UNBIND_CARD"
    CHANGE_PHONE = "CHANGE_PHONE"


class StepUpState(StrEnum):
    OPEN = "OPEN"
    CONFIRMED = "CONFIRMED"  # a grant was given out
    USED = "USED"


class SignInKind(StrEnum):
    """What a line of the audit of sign-ins tells of."""

    SIGNED_IN = "SIGNED_IN"
    CHALLENGED = "CHALLENGED"  # a code by SMS is needed first
    REFUSED = "REFUSED"  # the proof was right, and what stood around it was not
    FAILED = "FAILED"  # the proof was wrong
    LOCKED = "LOCKED"
    SIGNED_OUT = "SIGNED_OUT"
    TOKEN_REUSED = "TOKEN_REUSED"  # noqa: S105 -- the name of an event.


class SignInSignal(StrEnum):
    """What is unusual about a sign-in."""

    NEW_DEVICE = "NEW_DEVICE"
    FAR_PLACE = "FAR_PLACE"
    ODD_HOUR = "ODD_HOUR"
    RECENT_FAILURES = "RECENT_FAILURES"
