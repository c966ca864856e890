"""No sequence of words recharges anything but what was proposed in the turn before and met with an explicit yes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from domain.voice.amounts import Question
from domain.voice.dialogue import NOTHING, Act, Asking, KnownCard, Move, Proposal, State, next_move
from domain.voice.intents import Intent, understand
from kernel.errors import Locale
from kernel.ids import new_id
from kernel.money import Money
from kernel.states import CardBrand
from tests.voice.accuracy import read

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SINOPEC = KnownCard(new_id(), CardBrand.SINOPEC, "0001")
PETROCHINA = KnownCard(new_id(), CardBrand.PETROCHINA, "1234")
UTTERANCES = [(each.said, each.locale) for each in read()]
# Written down apart from the grammar: what a person would call a yes.
YES = {"确认", "确定", "是的", "对", "好的", "可以", "行", "好", "yes", "confirm", "go ahead", "okay"}
MAYBE = {
    "嗯",
    "好像不对",
    "可以吗",
    "行不行",
    "确认？",
    "不确认",
    "不要取消",
    "yes?",
    "is it right",
    "对吗",
    "是不是",
    "好不好",
}
EVERY_YES = YES | {each.said for each in read() if each.intent is Intent.CONFIRM}


def proposed(move: Move) -> State:
    """Remember a proposal as the service does."""
    assert move.card is not None
    assert move.amount is not None
    return State(proposal=Proposal(new_id(), move.card, move.amount, "0" * 64, NOW + timedelta(minutes=1)))


class Conversation(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.state, self.before, self.last = NOTHING, None, None
        self.said = ""

    before: Move | None
    last: Move | None

    def turn(self, said: str, locale: Locale) -> None:
        move = next_move(self.state, understand(said, locale=locale), [SINOPEC, PETROCHINA])
        self.before, self.last, self.said = self.last, move, said
        if move.act in {Act.PROPOSE, Act.REPEAT}:
            self.state = proposed(move)
        elif move.act is Act.EXECUTE:
            assert move.state.proposal is not None
            self.state = State(proposal=replace(move.state.proposal, confirmed=True))
        else:
            self.state = move.state

    @rule(pair=st.sampled_from(UTTERANCES))
    def says(self, pair: tuple[str, Locale]) -> None:
        self.turn(*pair)

    @rule(yuan=st.integers(10, 5_000), tail=st.sampled_from(["0001", "1234"]))
    def asks_for_a_recharge(self, yuan: int, tail: str) -> None:
        self.turn(f"给尾号{tail}的卡充{yuan}元", "zh-CN")
        assert self.last is not None
        assert (self.last.act, self.last.amount) == (Act.PROPOSE, Money(yuan * 100))

    @rule(said=st.sampled_from(sorted(YES)))
    def says_yes(self, said: str) -> None:
        pending = self.state.proposal
        self.turn(said, "zh-CN")
        assert self.last is not None
        if pending:
            assert (self.last.act, self.last.amount) == (Act.EXECUTE, pending.amount)

    @rule(said=st.sampled_from(sorted(MAYBE)))
    def hesitates(self, said: str) -> None:
        self.turn(said, "zh-CN")
        assert self.last is not None
        assert self.last.act is not Act.EXECUTE

    @invariant()
    def only_a_yes_to_the_proposal_recharges(self) -> None:
        if self.last is None or self.last.act is not Act.EXECUTE:
            return
        assert self.before is not None
        # A yes that is repeated is the same yes, which makes the same order.
        assert self.before.act in {Act.PROPOSE, Act.REPEAT, Act.EXECUTE}
        assert (self.last.amount, self.last.card) == (self.before.amount, self.before.card)
        assert self.said in EVERY_YES, self.said

    @invariant()
    def the_state_can_be_kept(self) -> None:
        assert State.of_json(_through_json(self.state.as_json())) == self.state


def _through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def test_only_a_yes_in_the_next_turn_recharges() -> None:
    run_state_machine_as_test(
        Conversation, settings=settings(max_examples=40, stateful_step_count=30, deadline=None, database=None)
    )


def say(state: State, *turns: str, cards: tuple[KnownCard, ...] = (SINOPEC,)) -> Move:
    move: Move | None = None
    for said in turns:
        move = next_move(state, understand(said, locale="zh-CN"), cards)
        state = proposed(move) if move.act in {Act.PROPOSE, Act.REPEAT} else move.state
    assert move is not None
    return move


@pytest.mark.parametrize("yes", sorted(YES))
def test_a_yes_is_heard(yes: str) -> None:
    move = say(NOTHING, "充五百", yes)
    assert (move.act, move.amount, move.card) == (Act.EXECUTE, Money(50_000), SINOPEC)


@pytest.mark.parametrize("maybe", sorted(MAYBE - {"不确认"}))
def test_a_maybe_is_asked_again(maybe: str) -> None:
    assert say(NOTHING, "充五百", maybe).act is Act.REPEAT


@pytest.mark.parametrize(
    ("said", "yuan"), [("确认充三百", 300), ("对，三百块", 300), ("改成八百", 800), ("不对，六百", 600)]
)
def test_a_yes_to_another_amount_is_another_proposal(said: str, yuan: int) -> None:
    move = say(NOTHING, "充五百", said)
    assert (move.act, move.amount) == (Act.PROPOSE, Money(yuan * 100))


def test_a_yes_to_another_card_is_another_proposal() -> None:
    move = say(NOTHING, "给中石化的卡充五百", "好的，中石油的卡", cards=(SINOPEC, PETROCHINA))
    assert move.act is not Act.EXECUTE


def test_questions_are_answered_by_the_next_turn() -> None:
    both = (SINOPEC, PETROCHINA)
    assert say(NOTHING, "充值", cards=both).state.asking is Asking.AMOUNT
    assert say(NOTHING, "充值", "五百", cards=both).act is Act.ASK_CARD
    assert say(NOTHING, "充值", "五百", "1234", cards=both).card == PETROCHINA
    assert say(NOTHING, "充值", "五百", "石化的", cards=both).card == SINOPEC


def test_an_amount_that_is_the_end_of_a_card_is_asked_about() -> None:
    move = say(NOTHING, "充2000", cards=(replace(SINOPEC, tail="2000"),))
    assert (move.act, move.question) == (Act.ASK_AMOUNT, Question.MAYBE_OTHER)
    assert say(NOTHING, "充2000元", cards=(replace(SINOPEC, tail="2000"),)).act is Act.PROPOSE
