"""Where a car's QR code leads who has no mini-program at hand, and the QR code itself.

The mini-program registers the page's address as its own (扫普通链接二维码打开小程序), so WeChat opens it instead.
"""

from __future__ import annotations

import io
from html import escape
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.access.rules import read_user_code, shown
from endpoints.pages import page
from kernel.settings import Settings

SVG = "image/svg+xml"
TITLE = "授权车机"
# Pixels of one module; the image is a vector one, so this is only its natural size.
MODULE_SIZE_PX = 6


def routes(settings: Settings) -> list[Route]:
    async def device(request: Request) -> Response:
        code = read_user_code(request.query_params.get("user_code", ""))
        if code is None:
            return page(TITLE, "<p>请在车机屏幕上重新获取二维码。</p>")
        content = (
            f'<p class="code">{escape(shown(code))}</p>'
            "<p>请用微信扫描车机上的二维码，或在油卡小程序「我的 · 设备」中输入此代码，核对车辆后确认授权。</p>"
        )
        return page(TITLE, content)

    async def qr(request: Request) -> Response:
        code = read_user_code(request.query_params.get("user_code", ""))
        if code is None:
            return Response(status_code=404)
        import segno  # noqa: PLC0415 -- few processes ever draw one.

        image = io.BytesIO()
        link = f"{settings.device_page_url}?user_code={quote(shown(code))}"
        segno.make_qr(link, error="m").save(image, kind="svg", scale=MODULE_SIZE_PX)
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(image.getvalue(), media_type=SVG, headers=headers)

    return [Route("/device", device), Route("/oauth/device/qr.svg", qr)]
