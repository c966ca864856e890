"""Every state with every trigger: what the table does not have is refused."""

from __future__ import annotations

from itertools import product

import pytest

from domain.funds import lifecycle
from domain.funds.lifecycle import BY_TRIGGER, CLAIMS, LIVE, PAYEES, TRANSFERS, Effect, StepNotPossible
from kernel.fund_states import ClaimState, FundStepKind, PayeeState, TransferKind, TransferState

STATES: list[TransferState | None] = [None, *TransferState]


@pytest.mark.parametrize(("state", "trigger"), list(product(STATES, FundStepKind)))
def test_a_transfer_moves_as_the_table_says(state: TransferState | None, trigger: FundStepKind) -> None:
    row = BY_TRIGGER.get((state, trigger))
    if row is None:
        with pytest.raises(StepNotPossible):
            lifecycle.step_of(state, trigger)
    else:
        assert lifecycle.step_of(state, trigger) is row


def test_money_is_held_exactly_while_it_is_live() -> None:
    """Whatever enters a live state holds, whatever leaves it frees or books, and nothing else moves money."""
    assert len(BY_TRIGGER) == len(TRANSFERS)
    for row in TRANSFERS:
        was, will = row.before in LIVE, row.after in LIVE
        if not was:
            assert will
            assert row.effect is Effect.HOLD
        elif not will:
            assert row.effect in (Effect.RELEASE, Effect.SETTLE)
        else:
            assert row.effect in (Effect.NONE, Effect.HOLD_ANEW)
    assert {row.after for row in TRANSFERS if row.effect is Effect.SETTLE} == {TransferState.CONFIRMED}


def test_what_is_sent_ends_by_the_banks_word_alone() -> None:
    after = {row.trigger for row in TRANSFERS if row.before is TransferState.SENT}
    assert after == {FundStepKind.CONFIRM, FundStepKind.FAIL}


def test_a_change_loses_every_approval() -> None:
    amended = [row for row in TRANSFERS if row.trigger is FundStepKind.AMEND]
    assert {row.before for row in amended} == LIVE - {TransferState.SENT}
    assert {row.after for row in amended} == {TransferState.PROPOSED}


@pytest.mark.parametrize(("state", "trigger"), list(product(PayeeState, FundStepKind)))
def test_a_payee_moves_as_the_table_says(state: PayeeState, trigger: FundStepKind) -> None:
    if (state, trigger) in PAYEES:
        assert lifecycle.payee_after(state, trigger) is PAYEES[state, trigger]
    else:
        with pytest.raises(StepNotPossible):
            lifecycle.payee_after(state, trigger)


@pytest.mark.parametrize(("state", "trigger"), list(product(ClaimState, FundStepKind)))
def test_a_claim_moves_as_the_table_says(state: ClaimState, trigger: FundStepKind) -> None:
    if (state, trigger) in CLAIMS:
        assert lifecycle.claim_after(state, trigger) is CLAIMS[state, trigger]
    else:
        with pytest.raises(StepNotPossible):
            lifecycle.claim_after(state, trigger)


@pytest.mark.parametrize(
    ("kind", "amount_fen", "needed"),
    [
        (TransferKind.WITHDRAWAL, 100, False),
        (TransferKind.WITHDRAWAL, 101, True),
        (TransferKind.FROM_RESERVE, 1, True),
        (TransferKind.TO_RESERVE, 101, False),
    ],
)
def test_when_the_director_is_needed(kind: TransferKind, amount_fen: int, needed: bool) -> None:
    assert lifecycle.needs_director(kind, amount_fen, above_fen=100) is needed
    assert lifecycle.is_ready(TransferState.CHECKED, needs_director=needed) is not needed
    assert lifecycle.is_ready(TransferState.DIRECTOR_APPROVED, needs_director=needed) is needed
