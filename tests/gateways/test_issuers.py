"""One conformance suite that every card issuer passes: over real HTTP on the sandbox, and the simulated one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from domain.cards.ports import (
    CardIssuer,
    IssuerBillRefused,
    IssuerOrderState,
    IssuerUnavailable,
    RechargeFacts,
    RechargeRequest,
)
from kernel.clock import business_day, utc_now
from kernel.ids import new_id
from kernel.settings import Settings
from kernel.states import CardBrand, CardCondition
from tests.gateways.stand_ins import AMOUNT_FEN, create_recharge
from tests.sandbox_fixtures import Sandbox
from tests.silence import patient_third_parties
from tests.simulation.fate import PlannedFate
from tests.simulation.issuer import Recharge, SimulatedIssuer
from tests.simulation.network import Network
from tests.simulation.timeline import Timeline

ON_SANDBOX = ("card_issuer", "ofpay", "juhe", "fulu")
AGGREGATORS = ON_SANDBOX[1:]
EVERY_ISSUER = (*ON_SANDBOX, "simulated")
S = IssuerOrderState
COSTS_FEN = {"card_issuer": 49_750, "ofpay": 49_800, "juhe": 49_850, "fulu": 49_900, "simulated": 49_750}


@dataclass
class Subject:
    """An issuer with a hand on its fate. `fail` asks for what its faults call so."""

    issuer: CardIssuer
    fail: Callable[[str], None]
    settle: Callable[[RechargeRequest, IssuerOrderState], None]

    async def ended(self, request: RechargeRequest, state: IssuerOrderState) -> RechargeFacts:
        """Return what a query says once the recharge has come to the state."""
        for _ in range(400):
            facts = await self.issuer.query(request.attempt_id)
            if facts.state is state:
                return facts
            await asyncio.sleep(0.02)
        raise AssertionError(f"it is {facts.state} and not {state}")


class Instant(Network):
    """A network of the simulation without time in it."""

    def __init__(self, faults: set[str]) -> None:
        super().__init__(Timeline(utc_now()), PlannedFate())
        self.faults = faults

    async def ask(self, party, operation, effect, *, lost):  # type: ignore[no-untyped-def]
        if operation == "submit" and "error_500" in self.faults:
            raise lost("unreachable")
        answer = effect()
        if operation == "submit" and "accept_then_timeout" in self.faults:
            raise lost("the answer is lost")
        return answer


def simulated() -> Subject:
    faults = set[str]()

    def on_submit(recharge: Recharge) -> None:
        state = {"refuse": S.REFUSED, "not_accepted": S.NOT_ACCEPTED}.get(next(iter(faults), ""), S.SUCCEEDED)
        if "stuck" not in faults:
            issuer.settle(recharge, state)

    issuer = SimulatedIssuer(Instant(faults), on_submit)

    def settle(request: RechargeRequest, state: IssuerOrderState) -> None:
        issuer.settle(issuer.recharges[request.attempt_id], state)

    return Subject(issuer, faults.add, settle)


@pytest.fixture(params=EVERY_ISSUER)
async def subject(request: pytest.FixtureRequest, settings: Settings, sandbox: Sandbox) -> AsyncIterator[Subject]:
    name = str(request.param)
    if name == "simulated":
        yield simulated()
        return
    subject_of_faults = "issuer" if name == "card_issuer" else name
    words = {} if name == "card_issuer" else {"not_accepted": "low_deposit"}

    def fail(fault: str) -> None:
        sandbox.faults(issuer_delay_ms=0, **{subject_of_faults: words.get(fault, fault)})

    async with patient_third_parties(settings.model_copy(update={"issuers": (name,)})) as parties:
        fail("ok")
        yield Subject(
            parties.issuers.of(name), fail, lambda asked, state: sandbox.settle_recharge(asked.attempt_id, state)
        )


def cost_of(subject: Subject) -> int:
    return COSTS_FEN["simulated" if isinstance(subject.issuer, SimulatedIssuer) else subject.issuer.name]


async def ignoring(asked: Awaitable[RechargeFacts]) -> None:
    try:
        await asked
    except IssuerUnavailable:
        return


class TestEveryIssuer:
    async def test_a_recharge_succeeds_and_says_what_it_cost(self, subject: Subject) -> None:
        request = create_recharge()
        accepted = await subject.issuer.submit(request)
        assert accepted.attempt_id == request.attempt_id
        facts = await subject.ended(request, S.SUCCEEDED)
        assert (facts.amount_fen, facts.cost_fen) == (AMOUNT_FEN, cost_of(subject))
        assert facts.issuer_order_id
        assert subject.issuer.cost_fen(request.brand, AMOUNT_FEN) == facts.cost_fen

    async def test_the_same_attempt_is_recharged_once(self, subject: Subject) -> None:
        before = (await subject.issuer.balance()).available_fen
        request = create_recharge(brand=CardBrand.PETROCHINA, card_number="9123456789012345")
        for _ in range(3):
            await subject.issuer.submit(request)
        facts = await subject.ended(request, S.SUCCEEDED)
        await subject.issuer.submit(request)
        assert facts.cost_fen is not None
        assert (await subject.issuer.balance()).available_fen == before - facts.cost_fen

    async def test_what_it_never_saw_it_does_not_find(self, subject: Subject) -> None:
        attempt_id = new_id()
        facts = await subject.issuer.query(attempt_id)
        assert (facts.attempt_id, facts.state, facts.cost_fen) == (attempt_id, S.NOT_FOUND, None)

    async def test_a_refusal_is_about_the_card(self, subject: Subject) -> None:
        subject.fail("refuse")
        request = create_recharge()
        await subject.issuer.submit(request)
        facts = await subject.ended(request, S.REFUSED)
        assert (facts.amount_fen, facts.cost_fen) == (AMOUNT_FEN, None)

    async def test_not_accepted_is_said_in_the_answer_and_takes_nothing(self, subject: Subject) -> None:
        before = await subject.issuer.balance()
        subject.fail("not_accepted")
        request = create_recharge()
        facts = await subject.issuer.submit(request)
        assert (facts.state, facts.amount_fen, facts.cost_fen) == (S.NOT_ACCEPTED, AMOUNT_FEN, None)
        assert facts.reason
        assert request.card_number not in facts.reason
        assert (await subject.issuer.query(request.attempt_id)).state in {S.NOT_ACCEPTED, S.NOT_FOUND}
        assert await subject.issuer.balance() == before

    async def test_a_lost_answer_settles_nothing_and_a_query_finds_out(self, subject: Subject) -> None:
        subject.fail("accept_then_timeout")
        request = create_recharge()
        with pytest.raises(IssuerUnavailable):
            await subject.issuer.submit(request)
        assert (await subject.ended(request, S.SUCCEEDED)).cost_fen == cost_of(subject)

    async def test_a_failure_before_acceptance_settles_nothing_either(self, subject: Subject) -> None:
        subject.fail("error_500")
        request = create_recharge()
        with pytest.raises(IssuerUnavailable):
            await subject.issuer.submit(request)
        assert (await subject.issuer.query(request.attempt_id)).state is S.NOT_FOUND

    async def test_a_card_is_checked(self, subject: Subject) -> None:
        facts = await subject.issuer.check_card(CardBrand.SINOPEC, "1000111234567890123")
        assert facts.condition is CardCondition.USABLE
        assert facts.owner_hint.startswith("*")

    async def test_the_bill_has_what_was_recharged(self, subject: Subject, tmp_path: Path) -> None:
        request = create_recharge()
        await subject.issuer.submit(request)
        facts = await subject.ended(request, S.SUCCEEDED)
        await subject.issuer.fetch_bill(business_day(utc_now()), tmp_path / "bill")
        (line,) = [
            line for line in subject.issuer.read_bill(tmp_path / "bill") if line.attempt_id == request.attempt_id
        ]
        assert (line.issuer_order_id, line.state) == (facts.issuer_order_id, S.SUCCEEDED)
        assert (line.amount_fen, line.cost_fen) == (AMOUNT_FEN, facts.cost_fen)

    async def test_a_bill_that_is_cut_off_is_refused_whole(self, subject: Subject, tmp_path: Path) -> None:
        request = create_recharge()
        await subject.issuer.submit(request)
        await subject.ended(request, S.SUCCEEDED)
        path = tmp_path / "bill"
        await subject.issuer.fetch_bill(business_day(utc_now()), path)
        whole = path.read_bytes()
        for kept in (0, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:kept])
            with pytest.raises(IssuerBillRefused):
                next(iter(subject.issuer.read_bill(path)))


@pytest.mark.parametrize("subject", AGGREGATORS, indirect=True)
class TestAggregators:
    async def test_what_happens_at_another_code_is_unknown(self, subject: Subject) -> None:
        subject.fail("unknown_code")
        with pytest.raises(IssuerUnavailable, match="code"):
            await subject.issuer.submit(create_recharge())

    async def test_a_500_behind_the_acceptance_is_found_out_about(self, subject: Subject) -> None:
        subject.fail("error_500_after")
        request = create_recharge()
        with pytest.raises(IssuerUnavailable, match="status 500"):
            await subject.issuer.submit(request)
        await subject.ended(request, S.SUCCEEDED)

    @pytest.mark.parametrize(
        ("fault", "state"),
        [("low_deposit", S.NOT_ACCEPTED), ("maintenance", S.NOT_ACCEPTED), ("refuse_at_once", S.REFUSED)],
    )
    async def test_codes_that_are_definite(self, subject: Subject, fault: str, state: IssuerOrderState) -> None:
        subject.fail(fault)
        assert (await subject.issuer.submit(create_recharge())).state is state

    async def test_a_success_after_a_failure_and_a_reversal(self, subject: Subject) -> None:
        subject.fail("success_after_failure")
        request = create_recharge()
        await subject.issuer.submit(request)
        await subject.ended(request, S.SUCCEEDED)
        subject.settle(request, S.REVERSED)
        taken_back = await subject.issuer.query(request.attempt_id)
        # Only one of the vendors has a word of its own for it.
        assert taken_back.state is (S.REVERSED if subject.issuer.name == "fulu" else S.REFUSED)

    async def test_the_deposit_is_the_limit(self, subject: Subject, sandbox: Sandbox) -> None:
        before = (await subject.issuer.balance()).available_fen
        sandbox.control("deposit", issuer=subject.issuer.name, fen=100)
        try:
            assert (await subject.issuer.balance()).available_fen == 100
            assert (await subject.issuer.submit(create_recharge())).state is S.NOT_ACCEPTED
        finally:
            sandbox.control("deposit", issuer=subject.issuer.name, fen=before)

    @pytest.mark.parametrize("fault", ["bill_cut_off", "bill_altered"])
    async def test_a_damaged_bill_is_refused(self, subject: Subject, tmp_path: Path, fault: str) -> None:
        request = create_recharge()
        await subject.issuer.submit(request)
        await subject.ended(request, S.SUCCEEDED)
        subject.fail(fault)
        await subject.issuer.fetch_bill(business_day(utc_now()), tmp_path / "bill")
        with pytest.raises(IssuerBillRefused):
            list(subject.issuer.read_bill(tmp_path / "bill"))

    async def test_another_day_has_an_empty_bill(self, subject: Subject, tmp_path: Path) -> None:
        await subject.issuer.fetch_bill(business_day(utc_now()) - timedelta(days=2), tmp_path / "bill")
        assert list(subject.issuer.read_bill(tmp_path / "bill")) == []
