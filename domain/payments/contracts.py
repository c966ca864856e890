"""What is asked of a channel that may take money by a contract (委托代扣), without the payer being there.

Amounts are fen, times are aware. A contract is known by our own `out_contract_code`; the channel's `contract_id` comes
with the signature. A deduction is known by its `out_trade_no`, and asking for it again never deducts twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from domain.payments.ports import NoticeNonce


class ContractState(StrEnum):
    """NOT_FOUND: nobody has signed it, or not yet. TERMINATED is for good; a new contract takes a new code."""

    NOT_FOUND = "NOT_FOUND"
    SIGNED = "SIGNED"
    TERMINATED = "TERMINATED"


class DeductionState(StrEnum):
    """NOT_FOUND was never accepted, so it may be asked for. PROCESSING may still end either way.

    REFUNDED was deducted, and all or some of the money is on its way back.
    """

    NOT_FOUND = "NOT_FOUND"
    PROCESSING = "PROCESSING"
    SUCCESS = "SUCCESS"
    REFUNDED = "REFUNDED"
    FAILED = "FAILED"


DEDUCTED = frozenset({DeductionState.SUCCESS, DeductionState.REFUNDED})


@dataclass(frozen=True, slots=True)
class ContractRequest:
    """`display_account` is what the user reads as the account that the contract is for; it may be no secret."""

    out_contract_code: str
    openid: str
    display_account: str


@dataclass(frozen=True, slots=True)
class SigningParameters:
    """What the mini-program hands to `wx.navigateToMiniProgram`, where the user signs. Good for ten minutes."""

    app_id: str
    path: str
    extra_data: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ContractFacts:
    """What a verified callback or a query says of a contract."""

    out_contract_code: str
    state: ContractState
    contract_id: str | None
    openid: str | None
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeductionRequest:
    out_trade_no: str
    contract_id: str
    amount_fen: int
    description: str


@dataclass(frozen=True, slots=True)
class DeductionFacts:
    """What a verified callback or a query says of a deduction. `transaction_id` is set when it was deducted."""

    out_trade_no: str
    state: DeductionState
    transaction_id: str | None
    amount_fen: int
    app_id: str
    mchid: str
    sub_mchid: str
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class ContractNotice:
    """A verified callback: its unique id, and exactly one kind of facts."""

    notice_id: str
    contract: ContractFacts | None
    deduction: DeductionFacts | None
    nonce: NoticeNonce | None = None


class Contracts(Protocol):
    """One merchant's contracts at one channel. Every coroutine raises ChannelUnavailable or ChannelRefused."""

    @property
    def name(self) -> str: ...

    @property
    def app_id(self) -> str: ...

    @property
    def mchid(self) -> str: ...

    @property
    def sub_mchid(self) -> str: ...

    async def start(self, request: ContractRequest) -> SigningParameters:
        """Begin a contract that the user signs. The same request again begins another session of the same contract."""

    async def query(self, out_contract_code: str) -> ContractFacts: ...

    async def terminate(self, out_contract_code: str, *, reason: str) -> None:
        """End a contract. One that has ended, or that nobody has signed, is ended already."""

    async def announce(self, *, contract_id: str, amount_fen: int) -> None:
        """Tell the payer of a deduction to come, where the contract's plan asks for that."""

    async def deduct(self, request: DeductionRequest) -> None:
        """Ask for a deduction. That it is accepted says nothing of the money: a callback or a query does."""

    async def query_deduction(self, out_trade_no: str) -> DeductionFacts: ...

    async def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> ContractNotice:
        """Verify, decrypt and read a callback. Raises NoticeRefused or NoticeUndecided."""
