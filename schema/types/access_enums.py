"""The enums of second proofs and of the audit of sign-ins, apart from the others since those fill a file."""

from __future__ import annotations

from kernel.access_states import SignInKind, SignInSignal, StepUpAction
from schema.types.describing import described

__all__ = ["SignInKind", "SignInSignal", "StepUpAction"]

described(
    StepUpAction,
    "StepUpAction",
    "What takes a second proof of who asks: a code by SMS and a face.",
    {
        "SET_PAYMENT_PASSWORD": "Set the first payment password: `setPaymentPassword`.",
        "CHANGE_PAYMENT_PASSWORD": "Change the payment password: `changePaymentPassword`.",
        "RESET_PAYMENT_PASSWORD": "Replace one that was forgotten: `resetPaymentPassword`.",
        "RAISE_SPENDING_LIMITS": "Allow more spending than before: `setSpendingLimits`.",
        "CREATE_MANDATE": "Allow deductions without a password: `createMandate`.",
        "UNBIND_CARD": "Unbind a card: `unbindCard`.",
        "CHANGE_PHONE": "Bind another phone in the place of one: `bindPhone` and `confirmPhone`.",
    },
)
described(
    SignInKind,
    "SignInKind",
    "What a line of the audit of sign-ins tells of.",
    {
        "SIGNED_IN": "Somebody was let in.",
        "CHALLENGED": "The proof was right, and a code by SMS was asked for as well.",
        "REFUSED": "The proof was right, and what stood around it was too unusual.",
        "FAILED": "The proof was wrong.",
        "LOCKED": "Too many failures: nobody is let in for a while.",
        "SIGNED_OUT": "A device was signed out; `reason` says by whom.",
        "TOKEN_REUSED": "A refresh token or a code came a second time, so the device was signed out.",
    },
)
described(
    SignInSignal,
    "SignInSignal",
    "What was unusual about a sign-in, measured by those before it.",
    {
        "NEW_DEVICE": "A device that was not seen before.",
        "FAR_PLACE": "So far from the last sign-in that nobody can have come from there in the time.",
        "ODD_HOUR": "An hour, in China, at which the user never came before.",
        "RECENT_FAILURES": "Several wrong proofs shortly before.",
    },
)
