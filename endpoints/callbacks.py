"""Callbacks of payment channels and issuers: verified, stored once, answered; a job applies them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.cards.ports import IssuerNoticeRefused
from domain.orders.notices import Facts, to_row
from domain.orders.ports import ThirdParties
from domain.payments.operations import record_notice
from domain.payments.ports import NoticeRefused
from kernel.clock import utc_now
from kernel.logs import get_logger
from kernel.settings import Settings

log = get_logger(__name__)


class BodyTooLarge(Exception):
    """The body is larger than any true callback."""


def routes(third_parties: Callable[[], ThirdParties], settings: Settings) -> list[Route]:
    """Return the callback routes; `third_parties` gives the gateways that verify."""

    async def wechat_pay(request: Request) -> Response:
        channel = third_parties().channels.main

        def read(body: bytes) -> tuple[str, Facts]:
            notice = channel.open_notice(headers=request.headers, body=body, now=utc_now())
            facts = notice.trade or notice.refund
            if facts is None:
                raise NoticeRefused("neither a payment nor a refund")
            return notice.notice_id, facts

        return await _accept(request, channel.name, read)

    async def issuer(request: Request) -> Response:
        card_issuer = third_parties().issuer

        def read(body: bytes) -> tuple[str, Facts]:
            notice = card_issuer.open_notice(headers=request.headers, body=body, now=utc_now())
            return notice.notice_id, notice.recharge

        return await _accept(request, card_issuer.name, read)

    async def _accept(request: Request, source: str, read: Callable[[bytes], tuple[str, Facts]]) -> Response:
        try:
            body = await _body(request, settings.callback_body_max_bytes)
            notice_id, facts = read(body)
        except BodyTooLarge:
            return _refused(413, "the body is too large")
        except (NoticeRefused, IssuerNoticeRefused) as error:
            log.warning("callback refused", source=source, reason=str(error))
            return _refused(401, "the callback cannot be verified")
        await record_notice(source=source, notice_id=notice_id, facts=to_row(facts), now=utc_now())
        return Response(status_code=204)

    return [
        Route("/callbacks/wechat-pay", _masked(wechat_pay), methods=["POST"]),
        Route("/callbacks/issuer", _masked(issuer), methods=["POST"]),
    ]


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
