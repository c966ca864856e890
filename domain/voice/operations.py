"""One turn of a conversation: what was heard, what is done, and what is said."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from domain.budgets.operations import Budgets, spend
from domain.budgets.rules import Budget
from domain.cards import queries as cards
from domain.identity.scopes import Scope
from domain.identity.viewer import Viewer
from domain.orders import for_organisations
from domain.orders import operations as orders
from domain.orders.creating import Wanted
from domain.orders.facts import OrderFacts
from domain.orders.policy import Policy
from domain.orders.queries import UNPAID, require_owned
from domain.risk import rules as risk
from domain.stations.facts import StationFacts
from domain.stations.geo import Location
from domain.stations.index import StationIndex
from domain.voice import answers, dialogue, sessions, speech
from domain.voice.answers import Answer, Asked
from domain.voice.dialogue import NOTHING, Act, Asking, KnownCard, Move, Proposal, State
from domain.voice.intents import Intent, Understood, understand
from domain.voice.payers import MandatePayer, Payer
from domain.voice.policy import VoicePolicy
from domain.voice.sessions import Kept
from domain.voice.speech import Speech
from kernel.errors import Locale, YoukaError
from kernel.ids import new_id
from kernel.money import FEN_PER_YUAN, Money
from kernel.states import Product
from models.cards import FuelCard
from models.orders import RechargeOrder

VOICE = "voiceTurn"
MONEY_SCOPES = frozenset({Scope.RECHARGE, Scope.RECHARGE_VOICE})
OWN = frozenset({Intent.BALANCE, Intent.ORDER_STATE})
CARDS_MAX = 20
TOKEN_BYTES = 24
SIMPLE = {
    Act.CANCELLED: "cancelled",
    Act.NOTHING_TO_CANCEL: "nothing_to_cancel",
    Act.NOTHING_TO_CONFIRM: "nothing_to_confirm",
    Act.NO_CARD: "no_card",
    Act.NOT_UNDERSTOOD: "not_understood",
}


class VoiceTranscriptInvalid(YoukaError):
    code = "VOICE_TRANSCRIPT_INVALID"
    messages = {
        "zh-CN": "语音文本须为1至{maximum}个字符",
        "en": "The transcript must have 1 to {maximum} characters",
    }


class VoiceSignInNeeded(YoukaError):
    code = "VOICE_SIGN_IN_NEEDED"
    messages = {"zh-CN": "请先登录，再说一遍", "en": "Please sign in, then say it again"}


class VoiceScopeMissing(YoukaError):
    """The token was not made for moving money by voice."""

    code = "VOICE_SCOPE_MISSING"
    messages = {"zh-CN": "此设备未获准语音充值", "en": "This device may not recharge by voice"}


class ConfirmTokenInvalid(YoukaError):
    code = "CONFIRM_TOKEN_INVALID"
    messages = {"zh-CN": "确认凭证无效，请重新说要充多少元", "en": "The confirmation is not valid, please ask anew"}


class ConfirmTokenExpired(YoukaError):
    code = "CONFIRM_TOKEN_EXPIRED"
    messages = {"zh-CN": "确认已超时，请重新说要充多少元", "en": "The confirmation came too late, please ask anew"}


@dataclass(frozen=True, slots=True)
class Said:
    """What the client sends: the words, and the token of the proposal that the user has heard."""

    session: str
    transcript: str
    locale: Locale
    location: Location | None = None
    confirm_token: str | None = None


@dataclass(frozen=True, slots=True)
class House:
    """What a turn needs beside the database."""

    index: StationIndex
    payer: Payer
    orders: Policy
    voice: VoicePolicy
    mandate: MandatePayer | None = None
    budgets: Budgets | None = None


@dataclass(frozen=True, slots=True)
class Offered:
    """What is put to the user: a station, or a recharge that takes a yes with its token."""

    amount: Money | None = None
    card: FuelCard | None = None
    station: StationFacts | None = None
    product: Product | None = None
    expires_at: datetime | None = None
    confirm_token: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """The answer. `confidence` says from 0 to 100 how sure the words were."""

    intent: Intent
    speech: Speech
    offered: Offered | None = None
    order: RechargeOrder | OrderFacts | None = None
    confidence: int = 0

    @property
    def needs_confirmation(self) -> bool:
        return self.offered is not None and self.offered.confirm_token is not None


async def turn(*, viewer: Viewer | None, said: Said, house: House, now: datetime) -> Turn:
    """Take one turn. Nobody needs to be signed in for stations, prices and help.

    Money moves in the second turn at the earliest: the one that says yes to what the one before has proposed, with its
    token. Saying that yes again returns the same order. Raises VoiceTranscriptInvalid, VoiceSessionInvalid,
    VoiceSignInNeeded, VoiceScopeMissing, ConfirmTokenInvalid, ConfirmTokenExpired, VoiceSessionBusy,
    TooManyVoiceSessions, BudgetSpent, and the errors of `domain.orders.operations.create`.
    """
    _check(said, house.voice)
    heard = understand(said.transcript, locale=said.locale)
    kept, mine = Kept(said.session, NOTHING), list[FuelCard]()
    if viewer:
        kept = await sessions.load(viewer=viewer, session=said.session, now=now)
        mine = await cards.of_viewer(viewer=viewer, first=CARDS_MAX, after=None)
    move = dialogue.next_move(kept.state, heard, [_known(card) for card in mine])
    step = _Step(viewer, said, heard, kept, mine, house, now)
    return replace(await step.take(move), confidence=heard.confidence)


def _check(said: Said, policy: VoicePolicy) -> None:
    sessions.check_session(said.session)
    if not said.transcript.strip() or len(said.transcript) > policy.transcript_length_max:
        raise VoiceTranscriptInvalid(maximum=policy.transcript_length_max)


def _known(card: FuelCard) -> KnownCard:
    return KnownCard(card.id, card.brand, card.number_tail)


@dataclass(frozen=True, slots=True)
class _Step:
    """The turn under way, with everything that it looks at."""

    viewer: Viewer | None
    said: Said
    heard: Understood
    kept: Kept
    cards: Sequence[FuelCard]
    house: House
    now: datetime

    async def take(self, move: Move) -> Turn:
        if move.act is Act.ANSWER:
            return await self.answer(move)
        if move.intent is Intent.RECHARGE or move.act in {Act.EXECUTE, Act.REPEAT}:
            return await self.money(move)
        return await self.talk(move)

    async def keep(self, state: State) -> None:
        if self.viewer:
            await sessions.keep(viewer=self.viewer, kept=self.kept, state=state, policy=self.house.voice, now=self.now)

    async def answer(self, move: Move) -> Turn:
        if move.intent in OWN and self.viewer is None:
            raise VoiceSignInNeeded
        asked = Asked(
            self.viewer, self.heard, self.said.location, self.said.locale, self.house.index, self.house.voice, self.now
        )
        told: Answer = await answers.answer(move.intent, asked)
        await self.keep(move.state)
        offered = Offered(station=told.station, product=told.product) if told.station else None
        return Turn(move.intent, told.speech, offered, told.order)

    async def talk(self, move: Move) -> Turn:
        """Say what moves nothing and remembers little."""
        await self.keep(move.state)
        locale = self.said.locale
        if move.act is Act.ASK_GUESS and self.heard.guess:
            guess = speech.plain(speech.GUESSES[self.heard.guess][locale])
            return Turn(move.intent, speech.say("ask_guess", locale, guess=guess))
        return Turn(move.intent, speech.say(SIMPLE[move.act], locale))

    async def money(self, move: Move) -> Turn:
        viewer, locale = self._allowed(), self.said.locale
        if move.act is Act.EXECUTE:
            return await self._execute(viewer, move)
        if move.act in {Act.PROPOSE, Act.REPEAT}:
            return await self._propose(move)
        await self.keep(move.state)
        if move.act is Act.ASK_AMOUNT:
            return Turn(move.intent, speech.say(speech.QUESTIONS[move.question], locale))
        if move.act is Act.ASK_CARD:
            known = speech.of_cards([_known(card) for card in self.cards], locale)
            return Turn(move.intent, speech.say("ask_card", locale, cards=known))
        assert move.act is Act.NO_CARD, move.act
        return Turn(move.intent, speech.say("no_card", locale))

    def _allowed(self) -> Viewer:
        if self.viewer is None:
            raise VoiceSignInNeeded
        if MONEY_SCOPES.isdisjoint(self.viewer.scopes):
            raise VoiceScopeMissing
        return self.viewer

    async def _propose(self, move: Move) -> Turn:
        """Put the recharge to the user, under a token that is good for a yes in the next turn."""
        assert move.card is not None
        assert move.amount is not None
        try:
            risk.check_amount(move.amount, self.house.orders.limits)
            await self._check_member(move.card, move.amount)
        except YoukaError:
            # What was proposed before is not wanted any more either.
            await self.keep(State(asking=Asking.AMOUNT, tail=move.card.tail, brand=move.card.brand))
            raise
        token = secrets.token_urlsafe(TOKEN_BYTES)
        proposal = Proposal(
            id=new_id(),
            card=move.card,
            amount=move.amount,
            token_hash=_hash_of(token),
            expires_at=self.now + self.house.voice.confirm_within,
            by_mandate=await self._is_covered(move.card, move.amount),
        )
        await self.keep(State(proposal=proposal))
        locale = self.said.locale
        key = "repeat" if move.act is Act.REPEAT else "propose"
        key += "_by_mandate" if proposal.by_mandate else ""
        card, amount = speech.of_card(move.card, locale), speech.of_amount(move.amount, locale)
        offered = Offered(
            amount=move.amount,
            card=next(card for card in self.cards if card.id == proposal.card.id),
            product=self.heard.product,
            expires_at=proposal.expires_at,
            confirm_token=token,
        )
        return Turn(move.intent, speech.say(key, locale, card=card, amount=amount), offered)

    async def _check_member(self, card: KnownCard, amount: Money) -> None:
        """Let a member hear of their limit before they say yes; the order asks again."""
        assert self.viewer is not None
        await for_organisations.look(viewer=self.viewer, card_id=card.id, amount=amount, now=self.now)

    async def _is_covered(self, card: KnownCard, amount: Money) -> bool:
        mandate = self.house.mandate
        if mandate is None or self.viewer is None:
            return False
        return await mandate.covers(viewer=self.viewer, card_id=card.id, amount=amount, now=self.now)

    async def _execute(self, viewer: Viewer, move: Move) -> Turn:
        proposal = move.state.proposal
        assert proposal is not None
        self._check_token(proposal)
        if not proposal.confirmed:
            await self._spend(viewer, proposal)
            await self._mark_confirmed(viewer, proposal)
        key = f"voice-{proposal.id}"
        yuan = Decimal(proposal.amount.fen) / FEN_PER_YUAN
        wanted = Wanted(operation=VOICE, key=key, card_id=proposal.card.id, yuan=yuan)
        order = await orders.create(viewer=viewer, wanted=wanted, policy=self.house.orders, now=self.now)
        paid = None
        if order.state in UNPAID:
            # What was said is what pays, whatever the wallet holds by now.
            payer = self.house.mandate if proposal.by_mandate and self.house.mandate else self.house.payer
            paid = await payer.pay(viewer=viewer, order=order, key=key, now=self.now)
            order = paid or await require_owned(viewer=viewer, order_id=order.id)
        return Turn(move.intent, self._ordered(order, proposal, paid=paid is not None), order=order)

    async def _spend(self, viewer: Viewer, proposal: Proposal) -> None:
        """Take of the budget of money what a recharge by hand takes, before the yes is heard. Raises BudgetSpent."""
        budgets = self.house.budgets
        if budgets:
            await spend(budget=Budget.MONEY, budgets=budgets, viewer=viewer, card_id=proposal.card.id, now=self.now)

    def _check_token(self, proposal: Proposal) -> None:
        given = _hash_of(self.said.confirm_token or "")
        if not hmac.compare_digest(given, proposal.token_hash):
            raise ConfirmTokenInvalid
        if self.now >= proposal.expires_at:
            raise ConfirmTokenExpired

    async def _mark_confirmed(self, viewer: Viewer, proposal: Proposal) -> None:
        """Let the yes be heard once. The same yes beside this one goes on as well, to the same order."""
        confirmed = State(proposal=replace(proposal, confirmed=True))
        try:
            await self.keep(confirmed)
        except sessions.VoiceSessionBusy:
            latest = await sessions.load(viewer=viewer, session=self.said.session, now=self.now)
            if latest.state != confirmed:
                raise

    def _ordered(self, order: RechargeOrder, proposal: Proposal, *, paid: bool) -> Speech:
        locale = self.said.locale
        card, amount = speech.of_card(proposal.card, locale), speech.of_amount(proposal.amount, locale)
        price = speech.of_amount(Money(order.price_fen), locale)
        if paid:
            key = "deducting" if proposal.by_mandate else "paid"
            return speech.say(key, locale, card=card, amount=amount, price=price)
        if order.state in UNPAID:
            return speech.say("left", locale, card=card, amount=amount, price=price)
        return speech.say("settled", locale, amount=amount, state=speech.of_state(order.state, locale))


def _hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
