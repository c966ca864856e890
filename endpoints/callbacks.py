"""Callbacks of payment channels and issuers: verified, stored once, answered; a job applies them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from domain.cards.ports import IssuerHint, IssuerNoticeRefused, UnknownIssuer
from domain.orders import recharging
from domain.orders.notices import Facts, to_row
from domain.orders.ports import ThirdParties
from domain.payments.operations import NonceReused, record_notice
from domain.payments.ports import NoticeNonce, NoticeRefused, NoticeUndecided, PaymentChannel
from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.settings import Settings
from kernel.states import PaymentMethod

log = get_logger(__name__)

TAKEN, UNKNOWN = 204, 404


class BodyTooLarge(Exception):
    """The body is larger than any true callback."""


@dataclass(frozen=True, slots=True)
class Read:
    """A verified callback as it is stored."""

    notice_id: str
    facts: Facts
    nonce: NoticeNonce | None = None


def routes(third_parties: Callable[[], ThirdParties], settings: Settings) -> list[Route]:
    """Return the callback routes; `third_parties` gives the gateways that verify."""

    hint_interval = timedelta(seconds=settings.issuer_hint_interval_s)
    accept = partial(_accept, settings.callback_body_max_bytes)

    async def wechat_pay(request: Request) -> Response:
        return await accept(
            request, third_parties().channels.main.name, _reader(request, third_parties().channels.main)
        )

    async def alipay(request: Request) -> Response:
        routes = third_parties().channels.by([PaymentMethod.ALIPAY])
        if not routes:
            return _refused(404, "Alipay is not offered")
        answer = await accept(request, routes[0].name, _reader(request, routes[0]))
        # Alipay repeats a notice until it is answered with this very text.
        return PlainTextResponse("success") if answer.status_code == TAKEN else answer

    async def wechat_pay_contract(request: Request) -> Response:
        contracts = third_parties().contracts
        if contracts is None:
            return _refused(404, "there are no contracts here")

        async def read(body: bytes) -> Read:
            notice = await contracts.open_notice(headers=request.headers, body=body, now=utc_now())
            facts = notice.contract or notice.deduction
            if facts is None:
                raise NoticeRefused("neither a contract nor a deduction")
            return Read(notice.notice_id, facts, notice.nonce)

        return await accept(request, contracts.name, read)

    async def issuer(request: Request) -> Response:
        parties = third_parties()
        try:
            card_issuer = parties.issuers.of(request.path_params.get("name", parties.issuer.name))
        except UnknownIssuer:
            return Response(status_code=UNKNOWN)

        async def read(body: bytes) -> Read:
            notice = card_issuer.open_notice(headers=request.headers, body=body, now=utc_now())
            return Read(notice.notice_id, notice.recharge)

        try:
            answer = await accept(request, card_issuer.name, read)
        except IssuerHint as hint:
            known = await recharging.hint(
                attempt_id=hint.attempt_id, issuer=card_issuer.name, interval=hint_interval, now=utc_now()
            )
            answer = Response(status_code=TAKEN if known else UNKNOWN)
        if answer.status_code == TAKEN and card_issuer.notice_answer:
            return PlainTextResponse(card_issuer.notice_answer)
        return answer

    return [
        Route("/callbacks/wechat-pay", _masked(wechat_pay), methods=["POST"]),
        Route("/callbacks/wechat-pay-contract", _masked(wechat_pay_contract), methods=["POST"]),
        Route("/callbacks/alipay", _masked(alipay), methods=["POST"]),
        Route("/callbacks/issuer", _masked(issuer), methods=["POST"]),
        Route("/callbacks/issuer/{name}", _masked(issuer), methods=["POST"]),
    ]


async def _accept(size_max: int, request: Request, source: str, read: Callable[[bytes], Awaitable[Read]]) -> Response:
    try:
        body = await _body(request, size_max)
        told = await read(body)
        await record_notice(
            source=source, notice_id=told.notice_id, facts=to_row(told.facts), now=utc_now(), nonce=told.nonce
        )
    except BodyTooLarge:
        return _refused(413, "the body is too large")
    except (NoticeRefused, IssuerNoticeRefused, NonceReused) as error:
        log.warning("callback refused", source=source, reason=str(error) or type(error).__name__)
        return _refused(401, "the callback cannot be verified")
    except NoticeUndecided as error:
        # Whoever sent a true one repeats it, and by then its key may be known.
        log.warning("callback undecided", source=source, reason=str(error))
        return _refused(503, "the callback cannot be verified now, please repeat it")
    return Response(status_code=TAKEN)


def _reader(request: Request, channel: PaymentChannel) -> Callable[[bytes], Awaitable[Read]]:
    async def read(body: bytes) -> Read:
        notice = await channel.open_notice(headers=request.headers, body=body, now=utc_now())
        facts = notice.trade or notice.refund
        if facts is None:
            raise NoticeRefused("neither a payment nor a refund")
        return Read(notice.notice_id, facts, notice.nonce)

    return read


def _masked(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Exception:
            # The sender repeats a callback that was not answered with success, so nothing is lost.
            log.exception("callback failed", path=request.url.path)
            return _refused(500, "try again later")

    return answer


async def _body(request: Request, size_max: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > size_max:
            raise BodyTooLarge
    return bytes(body)


def _refused(status: int, message: str) -> JSONResponse:
    """WeChat Pay reads `code` and `message` of an answer that is not 2xx."""
    return JSONResponse({"code": "FAIL", "message": message}, status_code=status)
