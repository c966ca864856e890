"""Deductions by contract (委托代扣) of WeChat Pay API v3 in partner mode.

Sources: WeChat Pay's partner documentation, "小程序场景预约扣费类型签约的预签约", "通过商户协议号查询委托代扣签约协议",
"通过商户协议号解除委托代扣签约协议", "服务商商户预扣费通知", "受理扣款"; a deduction is a transaction like any
other, so it is asked for by "商户订单号查询订单". Callbacks: "签约、解约结果通知" and "扣款结果通知".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from domain.payments.contracts import (
    DEDUCTED,
    ContractFacts,
    ContractNotice,
    ContractRequest,
    ContractState,
    DeductionFacts,
    DeductionRequest,
    DeductionState,
    SigningParameters,
)
from domain.payments.ports import NoticeRefused
from gateways.documents import Document, Malformed, child, fen, moment_or_none, text, text_or_none
from gateways.wechat_pay import DESCRIPTION_LENGTH_MAX, NOT_FOUND, UNKNOWN_TRADE_CODES, trade_path
from gateways.wechat_pay_wire import WeChatPayWire

PRE_SIGN = "/v3/papay/scheduled-deduct-sign/partner/contracts/pre-entrust-sign/mini-program"
SIGNED = "/v3/papay/sign/partner/contracts"
ANNOUNCE = "/v3/partner-papay/contracts"
DEDUCT = "/v3/papay/pay/partner/transactions/apply"
REASON_LENGTH_MAX = 256
UNKNOWN_CONTRACT_CODES = frozenset({"RESOURCE_NOT_EXISTS", "CONTRACT_NOT_EXIST"})
ENDED_CODES = UNKNOWN_CONTRACT_CODES | {"CONTRACT_NOT_ENABLED", "CONTRACT_TERMINATED"}

CONTRACT_EVENTS = {"PAPAY.SIGN": ContractState.SIGNED, "PAPAY.TERMINATE": ContractState.TERMINATED}
DEDUCTION_EVENTS = {"TRANSACTION.SUCCESS": DeductionState.SUCCESS, "TRANSACTION.PAY_FAIL": DeductionState.FAILED}
CONTRACT_STATES = {"SIGNED": ContractState.SIGNED, "TERMINATED": ContractState.TERMINATED}
DEDUCTION_STATES = {
    "ACCEPT": DeductionState.PROCESSING,
    "NOTPAY": DeductionState.PROCESSING,
    "USERPAYING": DeductionState.PROCESSING,
    "SUCCESS": DeductionState.SUCCESS,
    "REFUND": DeductionState.REFUNDED,
    # Nobody stands before a till who could try again, so what the bank turned down has failed.
    "PAY_FAIL": DeductionState.FAILED,
    "PAYERROR": DeductionState.FAILED,
    "CLOSED": DeductionState.FAILED,
    "REVOKED": DeductionState.FAILED,
}


class WeChatPayContracts:
    """Implements `domain.payments.contracts.Contracts` for one plan (委托代扣模板) of one sub-merchant."""

    name = "wechat_pay"

    def __init__(self, *, wire: WeChatPayWire, app_id: str, sub_mchid: str, plan_id: int, notify_url: str) -> None:
        self.app_id, self.mchid, self.sub_mchid = app_id, wire.mchid, sub_mchid
        self._wire, self._plan_id, self._notify_url = wire, plan_id, notify_url

    async def start(self, request: ContractRequest) -> SigningParameters:
        body = {
            "sp_appid": self.app_id,
            "sp_openid": request.openid,
            "sub_mchid": self.sub_mchid,
            "plan_id": self._plan_id,
            "out_contract_code": request.out_contract_code,
            "contract_display_account": request.display_account,
            "contract_notify_url": self._notify_url,
        }
        answer = await self._wire.ask("contract", "POST", PRE_SIGN, body)
        self._wire.raise_if_refused("contract", answer)
        return self._wire.read("contract", answer, _read_signing)

    async def query(self, out_contract_code: str) -> ContractFacts:
        path = f"{self._path(out_contract_code)}?sub_mchid={self.sub_mchid}"
        answer = await self._wire.ask("query_contract", "GET", path, None)
        if answer.status == NOT_FOUND and self._wire.code(answer) in UNKNOWN_CONTRACT_CODES:
            return ContractFacts(out_contract_code, ContractState.NOT_FOUND, None, None, None)
        self._wire.raise_if_refused("query_contract", answer)
        facts = self._wire.read("query_contract", answer, self._read_contract)
        self._wire.assert_about("query_contract", asked=out_contract_code, answered=facts.out_contract_code)
        return facts

    async def terminate(self, out_contract_code: str, *, reason: str) -> None:
        body = {"sub_mchid": self.sub_mchid, "contract_termination_remark": reason[:REASON_LENGTH_MAX]}
        answer = await self._wire.ask("terminate", "POST", f"{self._path(out_contract_code)}/terminate", body)
        if answer.refused and self._wire.code(answer) in ENDED_CODES:
            return
        self._wire.raise_if_refused("terminate", answer)

    async def announce(self, *, contract_id: str, amount_fen: int) -> None:
        body = {
            "sp_mchid": self.mchid,
            "sp_appid": self.app_id,
            "sub_mchid": self.sub_mchid,
            "estimated_amount": {"amount": amount_fen, "currency": "CNY"},
        }
        path = f"{ANNOUNCE}/{quote(contract_id, safe='')}/notify"
        self._wire.raise_if_refused("announce", await self._wire.ask("announce", "POST", path, body))

    async def deduct(self, request: DeductionRequest) -> None:
        body = {
            "sp_appid": self.app_id,
            "sub_mchid": self.sub_mchid,
            "out_trade_no": request.out_trade_no,
            "description": request.description[:DESCRIPTION_LENGTH_MAX],
            "transaction_notify_url": self._notify_url,
            "contract_id": request.contract_id,
            "amount": {"total": request.amount_fen, "currency": "CNY"},
        }
        self._wire.raise_if_refused("deduct", await self._wire.ask("deduct", "POST", DEDUCT, body))

    async def query_deduction(self, out_trade_no: str) -> DeductionFacts:
        path = trade_path(out_trade_no, mchid=self.mchid, sub_mchid=self.sub_mchid)
        answer = await self._wire.ask("query_deduction", "GET", path, None)
        if answer.status == NOT_FOUND and self._wire.code(answer) in UNKNOWN_TRADE_CODES:
            state, whose = DeductionState.NOT_FOUND, (self.app_id, self.mchid, self.sub_mchid)
            return DeductionFacts(out_trade_no, state, None, 0, *whose, paid_at=None)
        self._wire.raise_if_refused("query_deduction", answer)
        facts = self._wire.read("query_deduction", answer, _read_deduction)
        self._wire.assert_about("query_deduction", asked=out_trade_no, answered=facts.out_trade_no)
        return facts

    async def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> ContractNotice:
        envelope = await self._wire.open(headers=headers, body=body, now=now)
        try:
            contract, deduction = self._read_notice(envelope.event, envelope.document)
        except Malformed as error:
            raise NoticeRefused(str(error)) from None
        return ContractNotice(envelope.notice_id, contract, deduction, envelope.nonce)

    def _read_notice(self, event: str, document: Document) -> tuple[ContractFacts | None, DeductionFacts | None]:
        if event in CONTRACT_EVENTS:
            contract = self._read_contract(document)
            if contract.state is not CONTRACT_EVENTS[event]:
                raise Malformed("a contract notice that contradicts itself")
            return contract, None
        if event in DEDUCTION_EVENTS:
            deduction = _read_deduction(document)
            if (deduction.mchid, deduction.sub_mchid) != (self.mchid, self.sub_mchid):
                raise Malformed("a deduction of another merchant")
            if deduction.state is not DEDUCTION_EVENTS[event]:
                raise Malformed("a deduction notice that contradicts itself")
            return None, deduction
        raise Malformed("an unknown event")

    def _read_contract(self, document: Document) -> ContractFacts:
        state = CONTRACT_STATES.get(text(document, "contract_state"))
        if state is None:
            raise Malformed("an unknown contract_state")
        whose = (text(document, "sp_mchid"), text(document, "sub_mchid"), document.get("plan_id"))
        if whose != (self.mchid, self.sub_mchid, self._plan_id):
            raise Malformed("a contract of another merchant or plan")
        ended = state is ContractState.TERMINATED
        return ContractFacts(
            out_contract_code=text(document, "out_contract_code"),
            state=state,
            contract_id=text(document, "contract_id"),
            openid=text_or_none(document, "sp_openid"),
            changed_at=moment_or_none(document, "contract_terminated_time" if ended else "contract_signed_time"),
        )

    def _path(self, out_contract_code: str) -> str:
        return f"{SIGNED}/plan-id/{self._plan_id}/out-contract-code/{quote(out_contract_code, safe='')}"


def _read_signing(document: Document) -> SigningParameters:
    session = text(document, "pre_entrustweb_id")
    return SigningParameters(
        app_id=text(document, "redirect_appid"),
        path=text(document, "redirect_path"),
        extra_data={"pre_entrustweb_id": session},
    )


def _read_deduction(document: Document) -> DeductionFacts:
    state = DEDUCTION_STATES.get(text(document, "trade_state"))
    if state is None:
        raise Malformed("an unknown trade_state")
    deducted = state in DEDUCTED
    amount: dict[str, Any] = child(document, "amount")
    if amount.get("currency", "CNY") != "CNY":
        raise Malformed("another currency")
    return DeductionFacts(
        out_trade_no=text(document, "out_trade_no"),
        state=state,
        transaction_id=text(document, "transaction_id") if deducted else text_or_none(document, "transaction_id"),
        amount_fen=fen(amount, "total"),
        app_id=text(document, "sp_appid"),
        mchid=text(document, "sp_mchid"),
        sub_mchid=text(document, "sub_mchid"),
        paid_at=moment_or_none(document, "success_time") if deducted else None,
    )
