"""What a mandate allows, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import uuid4

import pytest

from domain.mandates.rules import (
    STEPS,
    Caps,
    MandateCapExceeded,
    MandateCapInvalid,
    MandateCardNotAllowed,
    MandateNotActive,
    Terms,
    Trigger,
    Used,
    check_caps,
    check_deduction,
    next_state,
)
from kernel.money import Money
from kernel.states import MandateState

NOW = datetime(2026, 4, 1, 4, tzinfo=UTC)
CARD = uuid4()
CAPS = Caps(50_000, 100_000)
TERMS = Terms(MandateState.ACTIVE, CAPS, frozenset({CARD}), NOW + timedelta(days=1))
OVER = {MandateState.REVOKED, MandateState.ENDED, MandateState.REFUSED}


@pytest.mark.parametrize(("state", "trigger"), list(product(MandateState, Trigger)))
def test_only_what_is_listed_happens(state: MandateState, trigger: Trigger) -> None:
    after = next_state(state, trigger)
    assert after == STEPS.get((state, trigger))
    if state in OVER:
        assert after is None
    if after is MandateState.ACTIVE:
        assert (state, trigger) == (MandateState.PENDING, Trigger.SIGN)


@pytest.mark.parametrize(
    ("used_fen", "amount_fen", "covered_fen"),
    [(0, 50_000, None), (0, 50_001, 50_000), (50_000, 50_000, None), (50_001, 50_000, 49_999), (100_000, 1, 0)],
)
def test_the_caps_hold_to_the_fen(used_fen: int, amount_fen: int, covered_fen: int | None) -> None:
    used = Used(used_fen, 1)
    if covered_fen is None:
        check_deduction(TERMS, card_id=CARD, amount=Money(amount_fen), used=used, now=NOW)
        return
    with pytest.raises(MandateCapExceeded) as refused:
        check_deduction(TERMS, card_id=CARD, amount=Money(amount_fen), used=used, now=NOW)
    assert refused.value.values["maximum"] == Money(covered_fen)


@pytest.mark.parametrize("state", [state for state in MandateState if state is not MandateState.ACTIVE])
def test_nothing_is_deducted_unless_it_is_active(state: MandateState) -> None:
    terms = Terms(state, CAPS, TERMS.cards, TERMS.expires_at)
    with pytest.raises(MandateNotActive):
        check_deduction(terms, card_id=CARD, amount=Money(1), used=Used(0, 0), now=NOW)


def test_it_ends_by_its_time_and_is_for_its_cards() -> None:
    with pytest.raises(MandateNotActive):
        check_deduction(TERMS, card_id=CARD, amount=Money(1), used=Used(0, 0), now=TERMS.expires_at)
    with pytest.raises(MandateCardNotAllowed):
        check_deduction(TERMS, card_id=uuid4(), amount=Money(1), used=Used(0, 0), now=NOW)


@pytest.mark.parametrize(
    ("caps", "maximum_fen"),
    [
        (Caps(1, 1), None),
        (CAPS, None),
        (Caps(50_001, 100_000), 50_000),
        (Caps(50_000, 100_001), 100_000),
        (Caps(30_001, 30_000), 30_000),
        (Caps(0, 30_000), 30_000),
        (Caps(1, 0), 100_000),
    ],
)
def test_caps_that_cannot_be(caps: Caps, maximum_fen: int | None) -> None:
    if maximum_fen is None:
        check_caps(caps, CAPS)
        return
    with pytest.raises(MandateCapInvalid) as refused:
        check_caps(caps, CAPS)
    assert refused.value.values["maximum"] == Money(maximum_fen)
