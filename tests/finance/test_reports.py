"""The daily report: the same numbers as the ledger, as CSV, page and query, and a closed day that never changes."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from tortoise import Tortoise
from tortoise.exceptions import BaseORMException

from app import create_app
from domain.finance import reports, tables
from domain.finance.figures import FIGURES, AccountSum, FigureName, Report, ReportStatus
from domain.finance.reports import ReportDayInvalid, close_day, close_days, end_of, report
from domain.identity.staff import STAFF_CLIENT_ID, STAFF_SCOPE, Staff
from domain.identity.tokens import authority
from domain.ledger import postings
from kernel.clock import SHANGHAI, business_day, utc_now
from kernel.ids import new_id
from kernel.settings import Settings
from kernel.states import StaffRole
from models.finance import FinanceDay
from models.ledger import LedgerAccount, LedgerEntry
from tests.factories import create_staff
from tests.ledger.booking import CLEARING, book, pay, somebodys, top_up, user_in
from tests.sandbox_fixtures import Sandbox

DAY = date(2026, 4, 21)
NOON = datetime(2026, 4, 21, 4, 0, tzinfo=UTC)
NIGHT = end_of(DAY).astimezone(UTC)
LATER = NIGHT + timedelta(hours=1)
ONE_DAY = timedelta(days=1)


async def book_a_day(now: datetime, *, shard: int = 5) -> None:
    """Book one of everything that the report tells apart."""
    user = user_in(shard)
    done, failed, wallet = somebodys(user), somebodys(user_in(shard + 1)), user_in(shard + 2)
    await book(pay(done, 50_000), now=now)
    await book(postings.succeeded(done, issuer="sandbox", price_fen=50_000, cost_fen=49_000), now=now)
    await book(pay(failed, 20_000), now=now)
    await book(postings.failed(failed, attempt=1, amount_fen=20_000), now=now)
    await book(postings.refunded(failed, attempt=1, source=CLEARING, amount_fen=20_000), now=now)
    await book(top_up(wallet, 30_000), now=now)
    await book(pay(somebodys(user_in(shard)), 7_000), now=now)
    reference = f"settle-{new_id()}"
    await book(postings.settled(reference=reference, clearing=CLEARING, amount_fen=40_000, fee_fen=240), now=now)
    await book(postings.swept(reference=reference, into=postings.ESCROW_RESERVE, amount_fen=39_000), now=now)
    await book(
        postings.suspended(difference_id=new_id(), number=1, account=CLEARING, party="wechat_pay", amount_fen=55),
        now=now,
    )


OF_ONE_DAY = {
    FigureName.TURNOVER: 77_000,
    FigureName.RECHARGED: 50_000,
    FigureName.TOP_UPS: 30_000,
    FigureName.REFUNDED: 20_000,
    FigureName.FEES: 240,
    FigureName.COMMISSION: 1_000,
    FigureName.LOSSES: 0,
    FigureName.ESCROW_OPERATING: 760,
    FigureName.ESCROW_RESERVE: 39_000,
    FigureName.CHANNEL_CLEARING: 47_055,
    FigureName.ISSUER_DEPOSITS: -49_000,
    FigureName.TRANSIT: 7_000,
    FigureName.REFUNDS_PAYABLE: 0,
    FigureName.WALLETS: 30_000,
    FigureName.MERCHANTS_PAYABLE: 0,
    FigureName.SUSPENSE: -55,
}


def figures_of(found: Report) -> dict[FigureName, int]:
    return {name: amount.fen for name, _, amount in found.figures}


async def by_hand(until: datetime) -> Counter[str]:
    """Add up the ledger entry by entry, as somebody with a pencil would."""
    codes = {row.id: row.code for row in await LedgerAccount.all()}
    held: Counter[str] = Counter()
    for entry in await LedgerEntry.all():
        if entry.occurred_at < until:
            code = codes[entry.account_id]
            held[re.sub(r"^(customer_\w+):.*$", r"\1", code)] += entry.amount_fen
    return held


@pytest.mark.usefixtures("database")
class TestReport:
    async def test_its_figures_are_those_of_the_ledger(self) -> None:
        await book_a_day(NOON)
        found = await report(day=DAY, now=LATER)
        assert figures_of(found) == OF_ONE_DAY
        assert found.debit == found.credit
        assert sum(each.closing_fen for each in found.accounts) == 0
        assert {each.account: each.closing_fen for each in found.accounts} == dict(await by_hand(NIGHT))

    async def test_a_day_begins_where_the_one_before_it_ended(self) -> None:
        for number in range(4):
            await book_a_day(NOON + number * ONE_DAY, shard=number)
        last: dict[str, int] = {}
        for number in range(4):
            day = DAY + number * ONE_DAY
            found = await report(day=day, now=LATER + 9 * ONE_DAY)
            assert {each.account: each.opening_fen for each in found.accounts if each.account in last} == last
            assert figures_of(found)[FigureName.TURNOVER] == 77_000
            assert {each.account: each.closing_fen for each in found.accounts} == dict(await by_hand(end_of(day)))
            last = {each.account: each.closing_fen for each in found.accounts}
            if number % 2:
                await close_day(day=day, now=LATER + 9 * ONE_DAY)

    async def test_midnight_is_that_of_shanghai(self) -> None:
        await book(pay(somebodys(), 100), now=NIGHT - timedelta(microseconds=1))
        await book(pay(somebodys(), 1_000), now=NIGHT)
        assert business_day(NIGHT) == DAY + ONE_DAY
        assert figures_of(await report(day=DAY, now=LATER))[FigureName.TURNOVER] == 100
        assert figures_of(await report(day=DAY + ONE_DAY, now=LATER))[FigureName.TURNOVER] == 1_000

    async def test_before_anything_was_booked_every_figure_is_zero(self) -> None:
        found = await report(day=DAY, now=LATER)
        assert set(figures_of(found).values()) == {0}
        assert (found.accounts, found.status) == ([], ReportStatus.PROVISIONAL)

    @pytest.mark.parametrize("day", [date(2019, 12, 31), date(1, 1, 1), DAY + 2 * ONE_DAY, date(9999, 12, 31)])
    async def test_a_day_that_has_none_is_refused(self, day: date) -> None:
        with pytest.raises(ReportDayInvalid):
            await report(day=day, now=LATER)

    async def test_a_reversed_recharge_is_taken_off(self) -> None:
        whose = somebodys()
        await book(pay(whose, 50_000), now=NOON)
        terms: dict[str, Any] = {"issuer": "sandbox", "price_fen": 50_000, "cost_fen": 49_000}
        await book(postings.succeeded(whose, **terms), now=NOON)
        await book(postings.reversed_recharge(whose, **terms), now=NOON)
        found = figures_of(await report(day=DAY, now=LATER))
        assert (found[FigureName.RECHARGED], found[FigureName.COMMISSION], found[FigureName.TRANSIT]) == (0, 0, 50_000)


@pytest.mark.usefixtures("database")
class TestClosing:
    async def test_a_day_is_provisional_until_it_is_closed(self) -> None:
        await book_a_day(NOON)
        assert (await report(day=DAY, now=NOON)).status is ReportStatus.PROVISIONAL
        with pytest.raises(ReportDayInvalid):
            await close_day(day=DAY, now=NIGHT)
        assert (await report(day=DAY, now=LATER)).status is ReportStatus.PROVISIONAL
        assert await close_days(now=LATER) == NIGHT + ONE_DAY + reports.CLOSE_AFTER
        found = await report(day=DAY, now=LATER + ONE_DAY)
        assert (found.status, found.as_of, figures_of(found)) == (ReportStatus.CLOSED, LATER, OF_ONE_DAY)

    async def test_what_comes_late_belongs_to_the_next_day(self) -> None:
        """A transaction that began before midnight and ended after the day was closed."""
        await book_a_day(NOON)
        await close_day(day=DAY, now=LATER)
        before = await report(day=DAY, now=LATER)
        await book(pay(somebodys(user_in(5)), 1_111), now=NIGHT - timedelta(seconds=1))
        assert await report(day=DAY, now=LATER) == before
        following = figures_of(await report(day=DAY + ONE_DAY, now=LATER))
        assert following[FigureName.TURNOVER] == 1_111
        assert following[FigureName.TRANSIT] == OF_ONE_DAY[FigureName.TRANSIT] + 1_111

    async def test_the_days_together_are_the_ledger_whenever_they_are_closed(self) -> None:
        for number in range(3):
            await book_a_day(NOON + number * ONE_DAY, shard=number)
            if number:
                await close_day(day=DAY + (number - 1) * ONE_DAY, now=LATER + number * ONE_DAY)
            await book(pay(somebodys(), 13), now=NOON + (number - 1) * ONE_DAY)
        days = [await report(day=DAY + (number - 1) * ONE_DAY, now=LATER + 5 * ONE_DAY) for number in range(4)]
        turnover = sum(figures_of(each)[FigureName.TURNOVER] for each in days)
        assert turnover == 3 * (77_000 + 13)
        assert {each.account: each.closing_fen for each in days[-1].accounts} == dict(
            await by_hand(LATER + 9 * ONE_DAY)
        )

    async def test_it_is_closed_once(self) -> None:
        await book_a_day(NOON)
        await close_day(day=DAY, now=LATER)
        await close_day(day=DAY, now=LATER + ONE_DAY)
        (row,) = await FinanceDay.all()
        assert row.closed_at == LATER

    @pytest.mark.parametrize("statement", ["UPDATE finance_day SET sums = '[]'", "DELETE FROM finance_day"])
    async def test_the_database_lets_nobody_change_it(self, statement: str) -> None:
        await book_a_day(NOON)
        await close_day(day=DAY, now=LATER)
        with pytest.raises(BaseORMException):
            await Tortoise.get_connection("default").execute_query(statement)
        assert figures_of(await report(day=DAY, now=LATER)) == OF_ONE_DAY

    async def test_days_that_were_missed_are_caught_up_with(self) -> None:
        await book_a_day(NOON)
        now = LATER + 40 * ONE_DAY
        assert await close_days(now=now) == now
        assert await FinanceDay.all().count() == reports.CLOSED_AT_ONCE_MAX
        assert await close_days(now=now) > now
        assert await FinanceDay.all().count() == 41

    async def test_without_a_ledger_nothing_is_closed(self) -> None:
        assert await close_days(now=LATER) == NIGHT + ONE_DAY + reports.CLOSE_AFTER
        assert not await FinanceDay.exists()


def test_every_figure_has_words() -> None:
    assert set(FIGURES) == set(tables.FIGURE_WORDS) == set(FigureName)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "-", "=cmd|' /C calc'!A0"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert tables.safe(text) == f"'{text}"
    found = Report(DAY, ReportStatus.CLOSED, NOON, [AccountSum(text, 1, 2, 3)])
    (line,) = [row for row in csv.reader(io.StringIO(tables.as_csv(found, "en"))) if "Account" in row]
    assert line[4] == f"'{text}"


@pytest.mark.parametrize("text", ["-1.00", "0.01", "suspense:wechat_pay", "", "12"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert tables.safe(text) == text


@pytest.fixture
async def desk(database_url: str, sandbox: Sandbox) -> AsyncIterator[tuple[httpx.AsyncClient, Settings]]:
    settings = sandbox.settings(database_url=database_url, worker_in_server=False)
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
    ):
        yield http, settings


def token_of(member: Staff, settings: Settings, client_id: str = STAFF_CLIENT_ID) -> str:
    scopes = frozenset({STAFF_SCOPE})
    return authority(settings).issue(user_id=member.id, client_id=client_id, scopes=scopes, now=utc_now())


QUERY = """query ($day: Date!) { financeReport(day: $day) { day status totalDebit { fen } totalCredit { fen }
  figures { name amount { yuan text } } accounts { account opening { yuan } debit { yuan } credit { yuan }
  closing { yuan } } } }"""


class TestDesk:
    async def test_file_page_and_query_agree(self, desk: tuple[httpx.AsyncClient, Settings]) -> None:
        http, settings = desk
        yesterday = business_day(utc_now()) - ONE_DAY
        noon = datetime.combine(yesterday, datetime.min.time(), SHANGHAI).astimezone(UTC) + timedelta(hours=12)
        await book_a_day(noon)
        headers = {"Authorization": f"Bearer {token_of(await create_staff(StaffRole.FINANCE), settings)}"}
        asked = await http.post(
            "/graphql", json={"query": QUERY, "variables": {"day": yesterday.isoformat()}}, headers=headers
        )
        told = asked.json()["data"]["financeReport"]
        figures = {each["name"]: each["amount"] for each in told["figures"]}
        assert {name: each["yuan"] for name, each in figures.items()} == {
            name.value: f"{fen / 100:.2f}" for name, fen in OF_ONE_DAY.items()
        }

        file = await http.get(f"/reports/finance/{yesterday}.csv?lang=en", headers=headers)
        assert file.headers["content-type"] == "text/csv; charset=utf-8"
        assert f"youka-finance-{yesterday}.csv" in file.headers["content-disposition"]
        assert file.content.startswith("\N{ZERO WIDTH NO-BREAK SPACE}".encode())
        rows = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
        assert {row["Code"]: row["Amount, closing (CNY)"] for row in rows if row["Code"] in figures} == {
            name: each["yuan"] for name, each in figures.items()
        }
        assert [
            (row["Code"], row["Opening (CNY)"], row["Debit (CNY)"], row["Credit (CNY)"], row["Amount, closing (CNY)"])
            for row in rows
            if row["Section"] == "Account"
        ] == [
            (each["account"], *(each[part]["yuan"] for part in ("opening", "debit", "credit", "closing")))
            for each in told["accounts"]
        ]

        page = await http.get(f"/reports/finance/{yesterday}", headers=headers)
        assert page.status_code == 200
        assert "暂计" in page.text
        assert "@media print" in page.text
        cells = re.findall(r'<td>([^<]*)</td><td class="amount">([^<]*)</td></tr>', page.text)
        words = {words["zh-CN"]: name.value for name, words in tables.FIGURE_WORDS.items()}
        assert {words[label]: text for label, text in cells} == {name: each["text"] for name, each in figures.items()}
        for each in told["accounts"]:
            amounts = "".join(
                f'<td class="amount">{each[part]["yuan"]}</td>' for part in ("opening", "debit", "credit", "closing")
            )
            assert f"<tr><td>{each['account']}</td>{amounts}</tr>" in page.text
        assert not re.search(r"(src|href)=|url\(|@import|<script", page.text)

    async def test_a_form_brings_the_token_as_well(self, desk: tuple[httpx.AsyncClient, Settings]) -> None:
        http, settings = desk
        token = token_of(await create_staff(StaffRole.AUDITOR), settings)
        page = await http.post("/reports/finance/2026-04-21?lang=en", data={"access_token": token})
        assert (page.status_code, "Youka daily finance report" in page.text) == (200, True)
        assert token not in page.text
        assert page.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("role", [StaffRole.SUPPORT, StaffRole.RISK, StaffRole.ADMIN, StaffRole.OPERATIONS])
    async def test_other_roles_get_nothing(self, desk: tuple[httpx.AsyncClient, Settings], role: StaffRole) -> None:
        http, settings = desk
        headers = {"Authorization": f"Bearer {token_of(await create_staff(role), settings)}"}
        for path in ("2026-04-21", "2026-04-21.csv"):
            answer = await http.get(f"/reports/finance/{path}", headers=headers)
            assert (answer.status_code, "<table" in answer.text) == (403, False)

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 401),
            ({"Authorization": "Bearer nonsense"}, 401),
            ({"Authorization": "Basic bGk6bmE="}, 401),
            ({"Authorization": "Bearer " + "x" * 20_000}, 401),
        ],
    )
    async def test_strangers_get_nothing(
        self, desk: tuple[httpx.AsyncClient, Settings], headers: dict[str, str], status: int
    ) -> None:
        http, settings = desk
        answer = await http.get("/reports/finance/2026-04-21", headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (status, "Bearer")
        posted = await http.post("/reports/finance/2026-04-21", data={"access_token": "x" * 100_000})
        assert posted.status_code == 400
        customer = await create_staff()
        pretender = {"Authorization": f"Bearer {token_of(customer, settings, client_id='mini-program')}"}
        assert (await http.get("/reports/finance/2026-04-21", headers=pretender)).status_code == 403

    @pytest.mark.parametrize(
        "day", ["yesterday", "2026-13-01", "9999-12-31", "0001-01-01", ".csv", "2026-04-21.csv.csv"]
    )
    async def test_an_address_without_a_day_is_refused(
        self, desk: tuple[httpx.AsyncClient, Settings], day: str
    ) -> None:
        http, settings = desk
        headers = {"Authorization": f"Bearer {token_of(await create_staff(), settings)}"}
        assert (await http.get(f"/reports/finance/{day}", headers=headers)).status_code == 400
