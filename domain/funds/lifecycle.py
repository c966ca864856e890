"""What can become of a transfer, a payee and a claim, as tables; no I/O. Tests are made from them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kernel.errors import YoukaError
from kernel.fund_states import ClaimState, FundStepKind, PayeeState, TransferKind, TransferState
from kernel.states import StaffRole

MAKERS = frozenset({StaffRole.FINANCE})
DIRECTORS = frozenset({StaffRole.FINANCE_DIRECTOR})
EITHER = MAKERS | DIRECTORS


class StepNotPossible(YoukaError):
    """It is not where the wish supposes it to be."""

    code = "STEP_NOT_POSSIBLE"
    messages = {"zh-CN": "当前状态不允许此操作", "en": "It does not allow this in its state"}


class Effect(StrEnum):
    """What a step does to the money: nothing, set it aside, set another amount aside, free it, or book it as gone."""

    NONE = "NONE"
    HOLD = "HOLD"
    HOLD_ANEW = "HOLD_ANEW"
    RELEASE = "RELEASE"
    SETTLE = "SETTLE"


@dataclass(frozen=True, slots=True)
class Step:
    before: TransferState | None
    trigger: FundStepKind
    after: TransferState
    effect: Effect = Effect.NONE


_S, _T = TransferState, FundStepKind
# A sweep into the reserve begins at CHECKED, because the rule is its approval. Whatever is changed begins anew, so no
# approval outlives what was approved.
TRANSFERS = (
    Step(None, _T.PROPOSE, _S.PROPOSED, Effect.HOLD),
    Step(None, _T.ORDER, _S.CHECKED, Effect.HOLD),
    Step(_S.PROPOSED, _T.AMEND, _S.PROPOSED, Effect.HOLD_ANEW),
    Step(_S.CHECKED, _T.AMEND, _S.PROPOSED, Effect.HOLD_ANEW),
    Step(_S.DIRECTOR_APPROVED, _T.AMEND, _S.PROPOSED, Effect.HOLD_ANEW),
    Step(_S.PROPOSED, _T.CHECK, _S.CHECKED),
    Step(_S.CHECKED, _T.DIRECT, _S.DIRECTOR_APPROVED),
    Step(_S.PROPOSED, _T.REJECT, _S.REJECTED, Effect.RELEASE),
    Step(_S.CHECKED, _T.REJECT, _S.REJECTED, Effect.RELEASE),
    Step(_S.PROPOSED, _T.WITHDRAW, _S.VOID, Effect.RELEASE),
    Step(_S.CHECKED, _T.WITHDRAW, _S.VOID, Effect.RELEASE),
    Step(_S.DIRECTOR_APPROVED, _T.WITHDRAW, _S.VOID, Effect.RELEASE),
    Step(_S.PROPOSED, _T.VOID, _S.VOID, Effect.RELEASE),
    Step(_S.CHECKED, _T.VOID, _S.VOID, Effect.RELEASE),
    Step(_S.DIRECTOR_APPROVED, _T.VOID, _S.VOID, Effect.RELEASE),
    Step(_S.PROPOSED, _T.EXPIRE, _S.EXPIRED, Effect.RELEASE),
    Step(_S.CHECKED, _T.EXPIRE, _S.EXPIRED, Effect.RELEASE),
    Step(_S.CHECKED, _T.SEND, _S.SENT),
    Step(_S.DIRECTOR_APPROVED, _T.SEND, _S.SENT),
    Step(_S.SENT, _T.CONFIRM, _S.CONFIRMED, Effect.SETTLE),
    Step(_S.SENT, _T.FAIL, _S.FAILED, Effect.RELEASE),
)
BY_TRIGGER = {(step.before, step.trigger): step for step in TRANSFERS}
# Their money is set aside.
LIVE = frozenset({_S.PROPOSED, _S.CHECKED, _S.DIRECTOR_APPROVED, _S.SENT})
VOIDABLE = LIVE - {_S.SENT}

PAYEES = {
    (PayeeState.PROPOSED, _T.APPROVE): PayeeState.ACTIVE,
    (PayeeState.PROPOSED, _T.REJECT): PayeeState.REJECTED,
    (PayeeState.PROPOSED, _T.REVOKE): PayeeState.REVOKED,
    (PayeeState.ACTIVE, _T.REVOKE): PayeeState.REVOKED,
}
# What an insurer grants may be corrected until it is paid; whoever books the payment has read the last of it.
CLAIMS = {
    (ClaimState.FILED, _T.ACCEPT): ClaimState.ACCEPTED,
    (ClaimState.ACCEPTED, _T.ACCEPT): ClaimState.ACCEPTED,
    (ClaimState.ACCEPTED, _T.PAY): ClaimState.PAID,
    (ClaimState.FILED, _T.REJECT): ClaimState.REJECTED,
    (ClaimState.ACCEPTED, _T.REJECT): ClaimState.REJECTED,
    (ClaimState.FILED, _T.WITHDRAW): ClaimState.WITHDRAWN,
    (ClaimState.ACCEPTED, _T.WITHDRAW): ClaimState.WITHDRAWN,
}


def step_of(state: TransferState | None, trigger: FundStepKind) -> Step:
    """Return the step that a trigger makes in a state. Raises StepNotPossible."""
    step = BY_TRIGGER.get((state, trigger))
    if step is None:
        raise StepNotPossible
    return step


def payee_after(state: PayeeState, trigger: FundStepKind) -> PayeeState:
    """Raises StepNotPossible."""
    after = PAYEES.get((state, trigger))
    if after is None:
        raise StepNotPossible
    return after


def claim_after(state: ClaimState, trigger: FundStepKind) -> ClaimState:
    """Raises StepNotPossible."""
    after = CLAIMS.get((state, trigger))
    if after is None:
        raise StepNotPossible
    return after


def needs_director(kind: TransferKind, amount_fen: int, *, above_fen: int) -> bool:
    """Say whether the finance director must agree as well: to large sums, and to everything that leaves the reserve."""
    return kind is TransferKind.FROM_RESERVE or (kind is TransferKind.WITHDRAWAL and amount_fen > above_fen)


def is_ready(state: TransferState, *, needs_director: bool) -> bool:
    """Say whether everybody has agreed, so that the bank may be told."""
    return state is (_S.DIRECTOR_APPROVED if needs_director else _S.CHECKED)
