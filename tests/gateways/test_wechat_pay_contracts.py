"""The contracts port on the sandbox: signed, deducted once, told of, ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.orders.ports import ThirdParties
from domain.payments.contracts import (
    ContractRequest,
    Contracts,
    ContractState,
    DeductionRequest,
    DeductionState,
)
from domain.payments.ports import ChannelRefused, ChannelUnavailable, NoticeRefused
from kernel.ids import new_id, numbered
from kernel.settings import Settings
from tests.gateways.stand_ins import Listener, Signer, now
from tests.sandbox_fixtures import Sandbox

OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
AMOUNT_FEN = 20_000


@pytest.fixture
def contracts(parties: ThirdParties) -> Contracts:
    assert parties.contracts is not None
    return parties.contracts


def create_request() -> ContractRequest:
    return ContractRequest(out_contract_code=f"C{new_id().hex[:30]}", openid=OPENID, display_account="沪A·12345")


async def create_signed(contracts: Contracts, sandbox: Sandbox) -> tuple[str, str]:
    """Return our code and the platform's id of a contract that the user has signed."""
    request = create_request()
    await contracts.start(request)
    signed = sandbox.control("contract", out_contract_code=request.out_contract_code, wish="sign")
    return request.out_contract_code, str(signed["contract_id"])


def create_deduction(contract_id: str, **changes: Any) -> DeductionRequest:
    values: dict[str, Any] = {
        "out_trade_no": numbered(new_id(), 1),
        "contract_id": contract_id,
        "amount_fen": AMOUNT_FEN,
        "description": "车机免密充值",
    }
    return DeductionRequest(**{**values, **changes})


class TestContract:
    async def test_it_is_signed_by_the_user_and_ended(
        self, contracts: Contracts, sandbox: Sandbox, listener: Listener
    ) -> None:
        request = create_request()
        signing = await contracts.start(request)
        assert signing.path
        assert set(signing.extra_data) == {"pre_entrustweb_id"}
        assert (await contracts.query(request.out_contract_code)).state is ContractState.NOT_FOUND
        signed = sandbox.control("contract", out_contract_code=request.out_contract_code, wish="sign")
        facts = await contracts.query(request.out_contract_code)
        assert (facts.state, facts.contract_id, facts.openid) == (ContractState.SIGNED, signed["contract_id"], OPENID)
        told = await listener.one()
        assert told.path == "/callbacks/wechat-pay-contract"
        notice = await contracts.open_notice(headers=told.headers, body=told.body, now=now())
        assert notice.contract == facts
        assert notice.deduction is None
        await contracts.terminate(request.out_contract_code, reason="用户解约")
        await contracts.terminate(request.out_contract_code, reason="用户解约")
        ended = await contracts.query(request.out_contract_code)
        assert (ended.state, ended.contract_id) == (ContractState.TERMINATED, facts.contract_id)
        told = (await listener.wait_for(2))[1]
        notice = await contracts.open_notice(headers=told.headers, body=told.body, now=now())
        assert notice.contract == ended

    async def test_one_that_nobody_signed_is_ended_already(self, contracts: Contracts) -> None:
        await contracts.terminate("C1", reason="nobody")
        assert (await contracts.query("C1")).state is ContractState.NOT_FOUND

    async def test_a_code_works_once(self, contracts: Contracts, sandbox: Sandbox) -> None:
        code, _ = await create_signed(contracts, sandbox)
        with pytest.raises(ChannelRefused, match="CONTRACT_EXISTED"):
            await contracts.start(replace(create_request(), out_contract_code=code))

    async def test_a_session_may_be_begun_again(self, contracts: Contracts) -> None:
        request = create_request()
        first, second = await contracts.start(request), await contracts.start(request)
        assert first.extra_data != second.extra_data


class TestDeduction:
    async def test_it_is_deducted_once_however_often_it_is_asked_for(
        self, contracts: Contracts, sandbox: Sandbox, listener: Listener
    ) -> None:
        _, contract_id = await create_signed(contracts, sandbox)
        await contracts.announce(contract_id=contract_id, amount_fen=AMOUNT_FEN)
        request = create_deduction(contract_id)
        assert (await contracts.query_deduction(request.out_trade_no)).state is DeductionState.NOT_FOUND
        await contracts.deduct(request)
        await contracts.deduct(request)
        told = (await listener.wait_for(2))[1]
        notice = await contracts.open_notice(headers=told.headers, body=told.body, now=now())
        facts = await contracts.query_deduction(request.out_trade_no)
        assert notice.deduction == facts
        assert (facts.state, facts.amount_fen) == (DeductionState.SUCCESS, AMOUNT_FEN)
        assert facts.transaction_id is not None
        assert facts.paid_at is not None
        await contracts.deduct(request)
        with pytest.raises(ChannelRefused, match="OUT_TRADE_NO_USED"):
            await contracts.deduct(replace(request, amount_fen=AMOUNT_FEN + 1))
        assert len(listener.deliveries) == 2

    async def test_a_lost_answer_leaves_it_to_the_query(
        self, contracts: Contracts, hasty_parties: ThirdParties, sandbox: Sandbox, listener: Listener
    ) -> None:
        _, contract_id = await create_signed(contracts, sandbox)
        sandbox.faults(contract="timeout", times=1)
        request = create_deduction(contract_id)
        assert hasty_parties.contracts is not None
        with pytest.raises(ChannelUnavailable):
            await hasty_parties.contracts.deduct(request)
        await listener.wait_for(2)
        assert (await contracts.query_deduction(request.out_trade_no)).state is DeductionState.SUCCESS

    async def test_refused_failed_and_stuck(self, contracts: Contracts, sandbox: Sandbox, listener: Listener) -> None:
        _, contract_id = await create_signed(contracts, sandbox)
        refused, failed, stuck = (create_deduction(contract_id) for _ in range(3))
        sandbox.faults(contract="refuse", times=1)
        with pytest.raises(ChannelRefused, match="RULE_LIMIT"):
            await contracts.deduct(refused)
        assert (await contracts.query_deduction(refused.out_trade_no)).state is DeductionState.NOT_FOUND
        sandbox.faults(contract="fail", times=1)
        await contracts.deduct(failed)
        told = (await listener.wait_for(2))[1]
        notice = await contracts.open_notice(headers=told.headers, body=told.body, now=now())
        assert notice.deduction is not None
        assert (notice.deduction.state, notice.deduction.transaction_id) == (DeductionState.FAILED, None)
        sandbox.faults(contract="stuck", times=1)
        await contracts.deduct(stuck)
        assert (await contracts.query_deduction(stuck.out_trade_no)).state is DeductionState.PROCESSING
        sandbox.control("deduction", out_trade_no=stuck.out_trade_no, state="SUCCESS")
        assert (await contracts.query_deduction(stuck.out_trade_no)).state is DeductionState.SUCCESS

    async def test_without_a_contract_nothing_is_deducted(self, contracts: Contracts, sandbox: Sandbox) -> None:
        code, contract_id = await create_signed(contracts, sandbox)
        await contracts.terminate(code, reason="用户解约")
        for number in (contract_id, "1"):
            request = create_deduction(number)
            with pytest.raises(ChannelRefused, match="CONTRACT_NOT_ENABLED"):
                await contracts.deduct(request)
            assert sandbox.payment(request.out_trade_no) is None


class TestNotices:
    def document(self, settings: Settings, **changes: Any) -> dict[str, Any]:
        values: dict[str, Any] = {
            "sp_mchid": settings.wechat_pay_sp_mchid,
            "sub_mchid": settings.wechat_pay_sub_mchid,
            "plan_id": settings.plan_id,
            "out_contract_code": "C1",
            "contract_id": "1",
            "contract_state": "SIGNED",
        }
        return {**values, **changes}

    @pytest.mark.parametrize(
        ("event", "changes"),
        [
            ("PAPAY.SIGN", {"contract_state": "TERMINATED"}),
            ("PAPAY.SIGN", {"contract_state": "ODD"}),
            ("PAPAY.SIGN", {"sub_mchid": "1900000999"}),
            ("PAPAY.SIGN", {"plan_id": 1}),
            ("PAPAY.SIGN", {"contract_id": ""}),
            ("PAPAY.ODD", {}),
            ("TRANSACTION.SUCCESS", {}),
        ],
    )
    async def test_what_is_signed_and_wrong(
        self, contracts: Contracts, settings: Settings, platform: Signer, event: str, changes: dict[str, Any]
    ) -> None:
        good = platform.pay_notice("PAPAY.SIGN", self.document(settings), kind="contract")
        opened = await contracts.open_notice(headers=platform.pay_headers(good), body=good, now=now())
        assert opened.contract is not None
        body = platform.pay_notice(event, self.document(settings, **changes), kind="contract")
        with pytest.raises(NoticeRefused):
            await contracts.open_notice(headers=platform.pay_headers(body), body=body, now=now())
