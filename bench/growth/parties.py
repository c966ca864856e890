"""Third parties that answer at once, in the same process: what is measured is our own work and the database's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

from domain.cards.ports import (
    CardFacts,
    DepositFacts,
    IssuerBillLine,
    IssuerBillNotReady,
    IssuerBillRefused,
    IssuerNotice,
    IssuerNoticeRefused,
    IssuerOrderState,
    Issuers,
    IssuerUnavailable,
    RechargeFacts,
    RechargeRequest,
)
from domain.identity.ports import FaceFacts, FaceOutcome, FaceSession, FaceUnavailable, LoginUnavailable
from domain.orders.ports import ThirdParties
from domain.payments.bills import BillLine, BillRefused
from domain.payments.ports import (
    ChannelNotice,
    Channels,
    ChannelUnavailable,
    NoticeRefused,
    PaymentParameters,
    PrepayRequest,
    RefundFacts,
    RefundRequest,
    TradeFacts,
    TradeState,
)
from kernel.states import CardBrand

CHANNEL, ISSUER = "wechat_pay", "card_issuer"
SUB_MCHID = "1900000209"
# What the issuer leaves us of each amount.
MARGIN_BASIS_POINTS = 50
NOT_ASKED = "a recharge that goes well never asks for this"


class PromptChannel:
    """Implements `PaymentChannel`: every merchant order is made at once, and paid when `paid` is called."""

    name = CHANNEL
    app_id = "wx8f3a0c5e7d9b1240"
    mchid = "1900000109"
    sub_mchid = SUB_MCHID

    async def prepay(self, request: PrepayRequest) -> str:
        return f"wx{request.out_trade_no}"

    async def payment_parameters(self, *, prepay_id: str, now: datetime) -> PaymentParameters:
        return PaymentParameters(self.app_id, str(int(now.timestamp())), "nonce", prepay_id, "RSA", "signature")

    def paid(self, *, out_trade_no: str, amount_fen: int, now: datetime) -> TradeFacts:
        """Return what the callback of a payment says."""
        return self._facts(out_trade_no, TradeState.SUCCESS, f"42{out_trade_no}", amount_fen, now)

    def _facts(
        self,
        out_trade_no: str,
        state: TradeState,
        transaction_id: str | None,
        amount_fen: int,
        paid_at: datetime | None,
    ) -> TradeFacts:
        return TradeFacts(
            out_trade_no=out_trade_no,
            state=state,
            transaction_id=transaction_id,
            amount_fen=amount_fen,
            app_id=self.app_id,
            mchid=self.mchid,
            sub_mchid=self.sub_mchid,
            paid_at=paid_at,
        )

    async def query(self, out_trade_no: str) -> TradeFacts:
        """Know nothing of an order that an earlier run has left unpaid, so that it ends at its deadline."""
        return self._facts(out_trade_no, TradeState.NOT_FOUND, None, 0, None)

    async def close(self, out_trade_no: str) -> None:
        """Succeed, as it does where nothing was made."""

    async def refund(self, request: RefundRequest) -> RefundFacts:
        raise ChannelUnavailable(f"{NOT_ASKED}: {request.out_refund_no}")

    async def query_refund(self, out_refund_no: str, *, out_trade_no: str | None = None) -> RefundFacts:
        raise ChannelUnavailable(f"{NOT_ASKED}: {out_refund_no}")

    async def fetch_bill(self, *, day: date, into: Path) -> None:
        raise ChannelUnavailable(f"{NOT_ASKED}: the bill of {day}, {into}")

    def read_bill(self, path: Path) -> Iterator[BillLine]:
        raise BillRefused(f"{NOT_ASKED}: {path}")

    async def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> ChannelNotice:
        raise NoticeRefused("callbacks come as facts here")


class PromptIssuer:
    """Implements `CardIssuer`: it accepts every recharge, and has made it when `recharged` is called."""

    name, notice_answer = ISSUER, ""

    async def submit(self, request: RechargeRequest) -> RechargeFacts:
        return _facts(request.attempt_id, IssuerOrderState.PROCESSING, request.amount_fen, None)

    def recharged(self, *, attempt_id: UUID, amount_fen: int) -> RechargeFacts:
        """Return what the callback of a recharge says."""
        return _facts(attempt_id, IssuerOrderState.SUCCEEDED, amount_fen, cost_of(amount_fen))

    async def query(self, attempt_id: UUID) -> RechargeFacts:
        """Know nothing of a recharge that an earlier run left: it is sent again, and left to a person in the end."""
        return RechargeFacts(attempt_id, IssuerOrderState.NOT_FOUND, None, 0, None, "")

    def open_notice(self, *, headers: Mapping[str, str], body: bytes, now: datetime) -> IssuerNotice:
        raise IssuerNoticeRefused("callbacks come as facts here")

    def cost_fen(self, brand: CardBrand, amount_fen: int) -> int:
        return cost_of(amount_fen)

    async def balance(self) -> DepositFacts:
        raise IssuerUnavailable("nobody asks for it here")

    async def check_card(self, brand: CardBrand, card_number: str) -> CardFacts:
        raise IssuerUnavailable("nobody asks for it here")

    async def fetch_bill(self, day: date, into: Path) -> None:
        raise IssuerBillNotReady(day)

    def read_bill(self, path: Path) -> Iterator[IssuerBillLine]:
        raise IssuerBillRefused(path)


def cost_of(amount_fen: int) -> int:
    """Return what the issuer takes from our deposit for an amount, in fen."""
    return amount_fen - amount_fen * MARGIN_BASIS_POINTS // 10_000


def _facts(attempt_id: UUID, state: IssuerOrderState, amount_fen: int, cost_fen: int | None) -> RechargeFacts:
    return RechargeFacts(
        attempt_id=attempt_id,
        state=state,
        issuer_order_id=f"IC{attempt_id.hex}",
        amount_fen=amount_fen,
        cost_fen=cost_fen,
        reason="",
    )


class NobodySignsIn:
    """Implements `MiniProgramLogin` and `FaceVerifier` for users who are there and orders that need no face."""

    async def openid_of(self, code: str) -> str:
        raise LoginUnavailable

    async def begin(self, *, subject: str) -> FaceSession:
        raise FaceUnavailable

    async def result(self, token: str) -> FaceFacts:
        return FaceFacts(token, FaceOutcome.FAILED, "")


def prompt_parties(channel: PromptChannel, issuer: PromptIssuer) -> ThirdParties:
    nobody = NobodySignsIn()
    return ThirdParties(channels=Channels((channel,)), issuers=Issuers((issuer,)), login=nobody, face=nobody)
