"""Contracts for deductions (委托代扣) as WeChat Pay's v3 pages describe them, and the user who signs or ends one."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.routing import Route

from kernel.clock import SHANGHAI, utc_now
from sandbox.answers import Refused, callback_url, json_endpoint, keep_silent, member, positive, text
from sandbox.crypto import random_digits
from sandbox.store import Document, Kind, Store
from sandbox.wechat_pay_desk import NUMBER, Desk
from sandbox.wechat_pay_documents import describe_trade

CODE = r"[0-9A-Za-z_\-]{1,32}"
# Where the mini-program sends the user to sign: WeChat Pay's own mini-program.
SIGNING_APP_ID, SIGNING_PATH = "wxbd687630cd02ce1d", "pages/PwdExemptContract/index"
DEDUCTION_DELAY_S = 0.15
SHOWN_MAX = 50
DEDUCTION_STATES = ("SUCCESS", "PAY_FAIL")


class WeChatPayContractsSandbox:
    def __init__(self, *, desk: Desk, store: Store) -> None:
        self._desk, self._settings, self._store = desk, desk.settings, store

    def routes(self) -> list[Route]:
        contract, signed = (
            "/v3/papay/sign/partner/contracts/plan-id/{plan:int}/out-contract-code/{code}",
            self._desk.signed,
        )
        pre_sign = "/v3/papay/scheduled-deduct-sign/partner/contracts/pre-entrust-sign/mini-program"
        return [
            Route(pre_sign, signed(self._pre_sign), methods=["POST"]),
            Route(contract, signed(self._query), methods=["GET"]),
            Route(f"{contract}/terminate", signed(self._terminate), methods=["POST"]),
            Route("/v3/partner-papay/contracts/{contract_id}/notify", signed(self._announce), methods=["POST"]),
            Route("/v3/papay/pay/partner/transactions/apply", signed(self._deduct), methods=["POST"]),
            Route("/control/contract", json_endpoint(self._play_user), methods=["POST"]),
            Route("/control/deduction", json_endpoint(self._settle_by_hand), methods=["POST"]),
        ]

    def state(self) -> Document:
        return {"contracts": self._store.newest(Kind.CONTRACT, SHOWN_MAX)}

    def resume(self) -> None:
        """Finish the deductions that a stop of the sandbox interrupted."""
        for trade in self._store.where(Kind.TRADE, "state", "ACCEPT"):
            if trade["settles_as"]:
                self._desk.courier.start(self._settle_later(trade["out_trade_no"]), name="deduction")

    async def _pre_sign(self, _request: Request, given: Document) -> Document:
        merchant = self._desk.merchant(given, sp=False)
        self._desk.fail_if_asked("contract", merchant)
        if given.get("sp_appid") != self._settings.wechat_pay_sp_appid:
            raise Refused(400, "APPID_MCHID_NOT_MATCH", "appid 和 mch_id 不匹配")
        if given.get("plan_id") != self._settings.plan_id:
            raise Refused(400, "PARAM_ERROR", "plan_id 不存在")
        number = text(given, "out_contract_code", CODE)
        contract = {
            "out_contract_code": number,
            "sub_mchid": merchant,
            "plan_id": given["plan_id"],
            "openid": text(given, "sp_openid", r".{1,128}"),
            "display": text(given, "contract_display_account", r".{1,32}"),
            "notify_url": self._url(given, "contract_notify_url"),
            "session": random_digits(32),
            "state": "WAITING",
            "contract_id": None,
        }
        before = self._store.get(Kind.CONTRACT, number)
        if before is not None and before["state"] != "WAITING":
            raise Refused(400, "CONTRACT_EXISTED", "商户签约协议号已使用")
        self._store.put(Kind.CONTRACT, number, contract)
        return {
            "pre_entrustweb_id": contract["session"],
            "redirect_appid": SIGNING_APP_ID,
            "redirect_path": SIGNING_PATH,
        }

    async def _query(self, request: Request, _given: Document) -> Document:
        merchant = self._desk.merchant(dict(request.query_params), sp=False)
        self._desk.fail_if_asked("contract", merchant)
        return self._describe(self._contract(request, merchant))

    async def _terminate(self, request: Request, given: Document) -> None:
        merchant = self._desk.merchant(given, sp=False)
        self._desk.fail_if_asked("contract", merchant)
        contract = self._contract(request, merchant)
        text(given, "contract_termination_remark", r"(?s).{1,256}")
        if contract["state"] == "TERMINATED":
            raise Refused(400, "CONTRACT_TERMINATED", "协议已解约")
        self._end(contract)

    async def _announce(self, request: Request, given: Document) -> None:
        merchant = self._desk.merchant(given)
        self._signed_contract(request.path_params["contract_id"], merchant)
        positive(member(given, "estimated_amount"), "amount")

    async def _deduct(self, request: Request, given: Document) -> None:
        merchant = self._desk.merchant(given, sp=False)
        self._desk.fail_if_asked("contract", merchant)
        number, amount = text(given, "out_trade_no", NUMBER), member(given, "amount")
        contract = self._signed_contract(text(given, "contract_id", r".{1,64}"), merchant)
        wanted: Document = {
            "sub_mchid": merchant,
            "contract_id": contract["contract_id"],
            "description": text(given, "description", r"(?s).{1,127}"),
            "notify_url": self._url(given, "transaction_notify_url"),
            "total": positive(amount, "total"),
            "currency": text(amount, "currency", "CNY"),
            "openid": contract["openid"],
        }
        trade = self._store.get(Kind.TRADE, number)
        if trade is None:
            if self._desk.asked_for("refuse", "contract", merchant):
                raise Refused(400, "RULE_LIMIT", "扣款超出限额")
            self._accept(number, wanted)
        elif any(trade.get(name) != value for name, value in wanted.items()):
            raise Refused(403, "OUT_TRADE_NO_USED", "商户订单号重复")
        if self._desk.asked_for("timeout", "contract", merchant):
            await keep_silent(request)

    def _accept(self, number: str, wanted: Document) -> None:
        modes = {"fail": "PAY_FAIL", "stuck": None}
        mode = self._desk.one_of(frozenset(modes), "contract", wanted["sub_mchid"])
        now = utc_now().astimezone(SHANGHAI).isoformat(timespec="seconds")
        trade = {
            **wanted,
            "out_trade_no": number,
            # What the user is asked to pay has one; nobody is asked here.
            "prepay_id": f"papay-{number}",
            "state": "ACCEPT",
            "settles_as": modes.get(mode, "SUCCESS"),
            "transaction_id": None,
            "time_expire": now,
            "success_time": None,
            "created_at": now,
        }
        self._store.put(Kind.TRADE, number, trade)
        if trade["settles_as"]:
            self._desk.courier.start(self._settle_later(number), name="deduction")

    async def _settle_later(self, number: str) -> None:
        await asyncio.sleep(DEDUCTION_DELAY_S)
        trade = self._store.get(Kind.TRADE, number)
        assert trade is not None
        if trade["state"] == "ACCEPT":
            self._settle(trade, trade["settles_as"])

    def _settle(self, trade: Document, state: str) -> None:
        trade["state"] = state
        now = utc_now().astimezone(SHANGHAI)
        if state == "SUCCESS":
            trade["transaction_id"] = f"4200{now:%Y%m%d%H%M%S}{random_digits(10)}"
            trade["success_time"] = now.isoformat(timespec="seconds")
        self._store.put(Kind.TRADE, trade["out_trade_no"], trade)
        self._tell(f"TRANSACTION.{state}", "transaction", "扣款结果", trade, describe_trade(trade, self._settings))

    def _tell(self, event: str, kind: str, summary: str, subject: Document, document: Document) -> None:
        if self._desk.asked_for("no_callback", "contract", subject["sub_mchid"]):
            return
        number = subject["out_trade_no" if kind == "transaction" else "out_contract_code"]
        self._desk.notify(event, kind, summary, subject=number, url=subject["notify_url"], document=document)

    def _play_user(self, given: Document) -> Document:
        """Play the user before the signing page: `{"out_contract_code": …, "wish": "sign" or "terminate"}`."""
        contract = self._store.get(Kind.CONTRACT, str(given.get("out_contract_code")))
        wish = given.get("wish")
        if contract is None or wish not in {"sign", "terminate"}:
            raise Refused(400, "PARAM_ERROR", "out_contract_code is one that was begun; wish: sign, terminate")
        if contract["state"] != {"sign": "WAITING", "terminate": "SIGNED"}[wish]:
            raise Refused(409, "NOT_POSSIBLE", f"the contract is {contract['state']}")
        if wish == "terminate":
            self._end(contract)
            return contract
        contract |= {"state": "SIGNED", "contract_id": random_digits(18), "signed_at": _now()}
        self._store.put(Kind.CONTRACT, contract["out_contract_code"], contract)
        self._tell("PAPAY.SIGN", "contract", "签约成功", contract, self._describe(contract))
        return contract

    def _settle_by_hand(self, given: Document) -> Document:
        """Settle what is stuck: `{"out_trade_no": …, "state": "SUCCESS" or "PAY_FAIL"}`."""
        trade, state = self._store.get(Kind.TRADE, str(given.get("out_trade_no"))), given.get("state")
        if trade is None or trade["state"] != "ACCEPT" or state not in DEDUCTION_STATES:
            raise Refused(400, "PARAM_ERROR", f"a deduction under way; state: {', '.join(DEDUCTION_STATES)}")
        self._settle(trade, str(state))
        return trade

    def _end(self, contract: Document) -> None:
        contract |= {"state": "TERMINATED", "terminated_at": _now()}
        self._store.put(Kind.CONTRACT, contract["out_contract_code"], contract)
        self._tell("PAPAY.TERMINATE", "contract", "解约成功", contract, self._describe(contract))

    def _contract(self, request: Request, merchant: str) -> Document:
        contract = self._store.get(Kind.CONTRACT, request.path_params["code"])
        whose = contract and (contract["sub_mchid"], contract["plan_id"])
        if contract is None or whose != (merchant, request.path_params["plan"]) or contract["state"] == "WAITING":
            raise Refused(404, "RESOURCE_NOT_EXISTS", "协议不存在")
        return contract

    def _signed_contract(self, contract_id: str, merchant: str) -> Document:
        for contract in self._store.where(Kind.CONTRACT, "contract_id", contract_id):
            if contract["sub_mchid"] == merchant and contract["state"] == "SIGNED":
                return contract
        raise Refused(400, "CONTRACT_NOT_ENABLED", "协议不存在或已解约")

    def _describe(self, contract: Document) -> Document:
        document = {
            "sp_mchid": self._settings.wechat_pay_sp_mchid,
            "sp_appid": self._settings.wechat_pay_sp_appid,
            "sp_openid": contract["openid"],
            **{name: contract[name] for name in ("sub_mchid", "plan_id", "out_contract_code", "contract_id")},
            "contract_state": contract["state"],
            "contract_signed_time": contract["signed_at"],
        }
        if contract["state"] == "TERMINATED":
            document["contract_terminated_time"] = contract["terminated_at"]
        return document

    def _url(self, given: Document, name: str) -> str:
        return callback_url({"notify_url": given.get(name)})


def _now() -> str:
    return utc_now().astimezone(SHANGHAI).isoformat(timespec="seconds")
