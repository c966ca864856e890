"""The daily finance report as a page that prints, and as a file for spreadsheets.

`/reports/finance/2026-05-20` and `/reports/finance/2026-05-20.csv`, `?lang=en` for English. They take a bearer token
of finance staff or of an auditor: in the `Authorization` header, or as `access_token` of a form (RFC 6750, sections 2.1
and 2.2), by which a browser opens the page in a window of its own without the token standing in an address.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import date
from html import escape
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from domain.finance import tables
from domain.finance.figures import FigureKind, Report, ReportStatus
from domain.finance.reports import READERS, report
from domain.identity import staff
from domain.identity.tokens import TokenAuthority, TokenRefused
from endpoints.oauth_requests import read_form
from endpoints.pages import private_headers
from kernel.clock import utc_now
from kernel.errors import DEFAULT_LOCALE, Locale, YoukaError
from kernel.money import Money
from kernel.settings import Settings

PATH = "/reports/finance"
TEMPLATE = Template((Path(__file__).parent / "finance_report.html").read_text(encoding="utf-8"))
CSV_TYPE = "text/csv; charset=utf-8"
CSV_ENDING = ".csv"
STATUS_OF: Mapping[type[YoukaError], int] = {
    TokenRefused: 401,
    staff.StaffOnly: 403,
}
BAD_REQUEST = 400


class ReportAddressInvalid(YoukaError):
    """The address names no day."""

    code = "REPORT_ADDRESS_INVALID"
    messages = {"zh-CN": "地址中须有日期，如2026-05-20", "en": "The address needs a day, such as 2026-05-20"}


def routes(tokens: Callable[[], TokenAuthority], settings: Settings) -> list[Route]:
    async def respond(request: Request) -> Response:
        locale = _locale_of(request)
        try:
            await _let_in(request, tokens(), settings)
            name = request.path_params["day"]
            found = await report(day=_day_of(name.removesuffix(CSV_ENDING)), now=utc_now())
        except YoukaError as error:
            return _refused(error, locale)
        return _csv(found, locale) if name.endswith(CSV_ENDING) else _page(found, locale)

    return [Route(f"{PATH}/{{day}}", respond, methods=["GET", "POST"])]


async def _let_in(request: Request, tokens: TokenAuthority, settings: Settings) -> None:
    """Raises TokenRefused, StaffOnly or RequestInvalid."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        form = await read_form(request, size_max=settings.oauth_body_size_max_bytes) if _is_post(request) else {}
        token = form.get("access_token", "")
    viewer = tokens.authenticate(token.strip(), now=utc_now())
    await staff.require(viewer=viewer, roles=READERS)


def _is_post(request: Request) -> bool:
    return request.method == "POST"


def _day_of(text: str) -> date:
    """Raises ReportAddressInvalid."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ReportAddressInvalid from None


def _locale_of(request: Request) -> Locale:
    return "en" if request.query_params.get("lang") == "en" else DEFAULT_LOCALE


def _refused(error: YoukaError, locale: Locale) -> Response:
    status = next((status for kind, status in STATUS_OF.items() if isinstance(error, kind)), BAD_REQUEST)
    content = f'<p role="alert">{escape(error.message(locale))}</p>'
    answer = _html(content, "", locale, status=status)
    if status == STATUS_OF[TokenRefused]:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _csv(found: Report, locale: Locale) -> Response:
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="youka-finance-{found.day.isoformat()}.csv"',
    }
    return Response(tables.as_csv(found, locale), media_type=CSV_TYPE, headers=headers)


def _page(found: Report, locale: Locale) -> Response:
    status = escape(tables.STATUS_WORDS[found.status][locale])
    mark = ' class="head provisional"' if found.status is ReportStatus.PROVISIONAL else ' class="head"'
    head = f"<p{mark}>{status} · {escape(tables.word('as_of', locale))} {escape(tables.moment_of(found))}</p>"
    figures = "".join(_figures(found, kind, locale) for kind in FigureKind)
    return _html(head + figures + _accounts(found, locale), found.day.isoformat(), locale)


def _figures(found: Report, kind: FigureKind, locale: Locale) -> str:
    rows = "".join(
        f'<tr><td>{escape(tables.FIGURE_WORDS[name][locale])}</td><td class="amount">{escape(amount.text)}</td></tr>'
        for name, its_kind, amount in found.figures
        if its_kind is kind
    )
    return f"<table><caption>{escape(tables.KIND_WORDS[kind][locale])}</caption><tbody>{rows}</tbody></table>"


def _accounts(found: Report, locale: Locale) -> str:
    names = ("opening", "debit", "credit", "amount")
    heads = "".join(f'<th class="amount">{escape(tables.word(name, locale))}</th>' for name in names)
    rows = "".join(
        f"<tr><td>{escape(each.account)}</td>"
        + _cells(each.opening_fen, each.debit_fen, each.credit_fen, each.closing_fen)
        + "</tr>"
        for each in found.accounts
    )
    account, total = escape(tables.word("account", locale)), escape(tables.word("total", locale))
    return (
        f"<table><caption>{account}</caption><thead><tr><th>{account}</th>{heads}</tr></thead><tbody>{rows}</tbody>"
        f'<tfoot><tr><td>{total}</td><td class="amount"></td>{_cells(found.debit.fen, found.credit.fen)}'
        '<td class="amount"></td></tr></tfoot></table>'
    )


def _cells(*amounts_fen: int) -> str:
    return "".join(f'<td class="amount">{escape(Money(fen).yuan)}</td>' for fen in amounts_fen)


def _html(content: str, day: str, locale: Locale, *, status: int = 200) -> HTMLResponse:
    nonce = secrets.token_urlsafe(16)
    text = TEMPLATE.substitute(
        lang=locale, title=escape(tables.word("title", locale)), day=escape(day), nonce=nonce, content=content
    )
    return HTMLResponse(text, status_code=status, headers=private_headers(nonce, form_targets="'none'"))
