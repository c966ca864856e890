"""The commands of whoever runs the service: what they do, what they refuse, and with which exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
import pytest

from app import create_app
from domain.orders.queries import story
from jobs import __main__ as jobs
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.settings import Settings, get_settings
from kernel.states import CardBrand, ErrorKind, RefundState
from models.database import connected
from models.identity import StaffMember
from models.offers import Offer
from models.orders import OrderTransition
from models.reviews import ErrorEntry
from tests.factories import create_card, create_order, create_viewer
from tests.imports.support import REPOSITORY
from tests.orders.conftest import House
from tests.sandbox_fixtures import Sandbox
from tests.services import run

REFUSED = 2
STARTS, ENDS = "2026-05-01T00:00:00+08:00", "2026-06-01T00:00:00+08:00"
REVIEWS = "{ reviews { edges { node { order { id } } } } }"
HUGE = "9" * 5_000
NO_AMOUNTS = (
    *("0", "0.00", "-1", "0.001", "NaN", "sNaN", "Infinity", "1e400", "1e9999999", HUGE, "五百", "５００", "1_000"),
    *("", " 500", "500元", "+500", ".5", "0x10"),
)
NO_COUNTS = ("0", "-1", "1.5", "2147483648", HUGE, "１", "ten", "", "1_0", " 1")
NO_TIMES = (
    *("tomorrow", "", "2026-05-01", "2026-05-01T00:00:00", "2026-13-01T00:00:00+08:00", "2026-02-30T00:00:00Z"),
    # Times that no calendar has once they are told in UTC.
    *("9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+14:00", HUGE),
)
NOBODY_COULD_TAKE: tuple[tuple[dict[str, str], str], ...] = (
    ({"amount": "9.99", "price": "9.00"}, "The amount must be at least ¥10.00"),
    ({"amount": "5000.01"}, "The amount must be ¥5,000.00 at most"),
    ({"amount": "999999999999"}, "The amount must be ¥5,000.00 at most"),
    ({"price": "500.01"}, "the price is more than what arrives"),
    ({"price": "999999999999"}, "the price is more than what arrives"),
    ({"ends": STARTS}, "the offer ends before it starts"),
    # The same moment in the words of another place.
    ({"ends": "2026-04-30T16:00:00Z"}, "the offer ends before it starts"),
    ({"ends": "2026-04-30T23:59:59+08:00"}, "the offer ends before it starts"),
)

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


class Shell:
    """Runs commands through the real entry, in this process, on one database."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.url, self._capsys, self._monkeypatch = url, capsys, monkeypatch

    def __call__(self, *arguments: str) -> Outcome:
        self._monkeypatch.setattr(sys, "argv", ["jobs", *arguments])
        get_settings.cache_clear()
        self._capsys.readouterr()
        try:
            code = jobs.main()
        except SystemExit as end:
            # How argparse ends where it does not understand.
            code = int(end.code or 0)
        shown = self._capsys.readouterr()
        return Outcome(code, shown.out, shown.err)

    def refused(self, *arguments: str) -> str:
        """Return what is said, in whole sentences of ours, where a command does nothing."""
        outcome = self(*arguments)
        assert (outcome.code, outcome.out) == (REFUSED, ""), outcome
        assert "Traceback" not in outcome.err
        return outcome.err

    def on(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Look into the database, whose connections no command shares."""

        async def opened() -> T:
            async with connected(self.url):
                return await work()

        return run(opened())


@pytest.fixture
def shell(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shell]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    # It would take the logging of the whole test run over.
    monkeypatch.setattr(jobs, "configure_logging", lambda **_: None)
    yield Shell(database_url, capsys, monkeypatch)
    get_settings.cache_clear()


async def everybody() -> list[StaffMember]:
    return await StaffMember.all().order_by("name")


async def every_offer() -> list[Offer]:
    return await Offer.all().order_by("code")


def offer_of(code: str = "spring-500", **changes: str) -> list[str]:
    """Return the command that makes an offer; `changes` replace its options."""
    options = {"title": "满减", "amount": "500.00", "price": "490.00", "stock": "10", "starts": STARTS, "ends": ENDS}
    options |= {name.replace("_", "-"): value for name, value in changes.items()}
    return ["add-offer", code, *(f"--{name}={value}" for name, value in options.items())]


class TestStaff:
    def test_somebody_begins_and_leaves(self, shell: Shell) -> None:
        added = shell("add-staff", "王小明", "--role", "RISK", "--role", "FINANCE", "--role", "RISK")
        (member,) = shell.on(everybody)
        assert (added.code, added.out, added.err) == (0, f"王小明 works here now: {member.id}\n", "")
        assert (member.roles, member.customer_id, member.left_at) == (["FINANCE", "RISK"], None, None)
        assert shell("remove-staff", "王小明") == Outcome(0, "王小明 has left\n", "")
        (member,) = shell.on(everybody)
        assert member.left_at is not None
        for command in ("remove-staff", "staff-token"):
            assert shell.refused(command, "王小明") == "youka: nobody of the name 王小明 works here\n"

    def test_a_name_is_taken_once(self, shell: Shell) -> None:
        assert shell("add-staff", "李", "--role", "SUPPORT").code == 0
        said = shell.refused("add-staff", "李", "--role", "FINANCE")
        assert said == "youka: There is a member of staff of this name already\n"
        (member,) = shell.on(everybody)
        assert member.roles == ["SUPPORT"]

    def test_the_account_of_a_colleague_has_to_be_there(self, shell: Shell) -> None:
        customer = shell.on(create_viewer).user_id
        assert shell("add-staff", "李", "--role", "RISK", "--customer", str(customer)).code == 0
        said = shell.refused("add-staff", "张", "--role", "RISK", "--customer", str(new_id()))
        assert said == "youka: There is no such account\n"
        assert "invalid UUID value" in shell.refused("add-staff", "张", "--role", "RISK", "--customer", "me")
        assert [(member.name, member.customer_id) for member in shell.on(everybody)] == [("李", customer)]

    def test_a_name_is_one_that_can_be_shown(self, shell: Shell) -> None:
        for name in ("", " \t", "x" * 65, "a\nb", "a\x1b[2J"):
            assert "is not a text of 1 to 64 characters" in shell.refused("add-staff", name, "--role", "RISK")
        assert shell.on(everybody) == []

    def test_a_role_is_one_that_there_is(self, shell: Shell) -> None:
        for roles in ([], ["--role"], ["--role", "BOSS"], ["--role", "risk"], ["--role", ""]):
            assert "--role" in shell.refused("add-staff", "李", *roles)
        assert shell.on(everybody) == []

    def test_the_printed_token_opens_what_is_for_staff_until_they_leave(
        self, shell: Shell, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DATA_DIR", str(sandbox.data_dir))
        settings = sandbox.settings(database_url=shell.url, worker_in_server=False)
        assert shell("add-staff", "李", "--role", "SUPPORT").code == 0
        printed = shell("staff-token", "李")
        assert (printed.code, printed.err, printed.out.count("\n")) == (0, "", 1)
        token = printed.out.strip()
        assert run(ask(settings, REVIEWS, token))["data"] == {"reviews": {"edges": []}}
        assert shell("remove-staff", "李").code == 0
        (error,) = run(ask(settings, REVIEWS, token))["errors"]
        assert error["extensions"]["code"] == "FORBIDDEN"

    def test_in_production_no_key_is_invented_for_a_token(
        self, shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        assert shell("add-staff", "李", "--role", "SUPPORT").code == 0
        monkeypatch.setenv("YOUKA_ENVIRONMENT", "production")
        assert "YOUKA_TOKEN_KEY_PATH" in shell.refused("staff-token", "李")
        assert not (tmp_path / "keys").exists()


async def ask(settings: Settings, query: str, token: str = "") -> Any:
    """Ask the whole application over ASGI."""
    app = create_app(settings)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000") as client,
    ):
        return (await client.post("/graphql", json={"query": query}, headers=headers)).json()


class TestOffers:
    def test_an_offer_is_made_whole(self, shell: Shell) -> None:
        made = shell(*offer_of(brand="SINOPEC", per_user="2"))
        assert made == Outcome(0, "spring-500: 10 times ¥500.00 for ¥490.00\n", "")
        (offer,) = shell.on(every_offer)
        assert (offer.code, offer.title, offer.brand) == ("spring-500", "满减", CardBrand.SINOPEC)
        assert (offer.amount_fen, offer.price_fen) == (50_000, 49_000)
        assert (offer.stock_total, offer.stock_left, offer.per_user_max) == (10, 10, 2)
        assert offer.starts_at == datetime(2026, 4, 30, 16, tzinfo=UTC)
        assert offer.ends_at == datetime(2026, 5, 31, 16, tzinfo=UTC)

    def test_clients_see_it_while_it_is_open(self, shell: Shell, sandbox: Sandbox) -> None:
        now, hour = utc_now(), timedelta(hours=1)
        coming = {"starts": (now + hour).isoformat(), "ends": (now + 2 * hour).isoformat()}
        assert shell(*offer_of("now", title="现在", starts=now.isoformat(), ends=coming["ends"])).code == 0
        assert shell(*offer_of("later", title="以后", **coming)).code == 0
        settings = sandbox.settings(database_url=shell.url, worker_in_server=False)
        shown = run(ask(settings, "{ offers { edges { node { title price { text } perUserMax } } } }"))
        assert [edge["node"] for edge in shown["data"]["offers"]["edges"]] == [
            {"title": "现在", "price": {"text": "¥490.00"}, "perUserMax": 1}
        ]

    def test_a_code_is_taken_once(self, shell: Shell) -> None:
        assert shell(*offer_of()).code == 0
        said = shell.refused(*offer_of(stock="99", price="1.00"))
        assert said == "youka: There is an offer with this code already\n"
        (offer,) = shell.on(every_offer)
        assert (offer.stock_left, offer.price_fen) == (10, 49_000)

    @pytest.mark.parametrize("option", ["amount", "price"])
    def test_what_is_no_amount_is_refused(self, shell: Shell, option: str) -> None:
        for value in NO_AMOUNTS:
            said = shell.refused(*offer_of(**{option: value}))
            assert f"argument --{option}: " in said
            assert "is not an amount of yuan" in said or "must be more than zero" in said
        assert shell.on(every_offer) == []

    def test_what_nobody_could_take_is_refused(self, shell: Shell) -> None:
        for changes, reason in NOBODY_COULD_TAKE:
            assert shell.refused(*offer_of(**changes)) == f"youka: {reason}\n"
        assert shell.on(every_offer) == []

    @pytest.mark.parametrize("option", ["stock", "per_user"])
    def test_what_is_no_count_is_refused(self, shell: Shell, option: str) -> None:
        for value in NO_COUNTS:
            assert "is not a number from 1 to 2147483647" in shell.refused(*offer_of(**{option: value}))
        assert shell.on(every_offer) == []

    def test_the_largest_numbers_are_kept_exactly(self, shell: Shell) -> None:
        assert shell(*offer_of(amount="5000", price="5000.00", stock="2147483647", per_user="2147483647")).code == 0
        (offer,) = shell.on(every_offer)
        assert (offer.amount_fen, offer.price_fen, offer.stock_left) == (500_000, 500_000, 2**31 - 1)

    @pytest.mark.parametrize("option", ["starts", "ends"])
    def test_what_is_no_time_is_refused(self, shell: Shell, option: str) -> None:
        for value in NO_TIMES:
            assert "is not a time with an offset" in shell.refused(*offer_of(**{option: value}))
        assert shell.on(every_offer) == []

    def test_what_cannot_be_shown_is_refused(self, shell: Shell) -> None:
        for code, title in (("x" * 33, "满减"), ("", "满减"), ("a\nb", "满减"), ("a", "满" * 65), ("a", " ")):
            assert "is not a text of 1 to" in shell.refused(*offer_of(code, title=title))
        assert shell.on(every_offer) == []

    def test_a_brand_is_one_that_has_cards(self, shell: Shell) -> None:
        assert "--brand" in shell.refused(*offer_of(brand="SHELL"))
        assert "required: --stock" in shell.refused(*[each for each in offer_of() if "stock" not in each])
        assert shell.on(every_offer) == []


def command(url: str, *arguments: str) -> Outcome:
    """Run a command as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "jobs", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


class TestStory:
    def test_what_is_no_order_has_none(self, shell: Shell) -> None:
        assert shell.refused("story", str(new_id())) == "youka: there is no such order\n"
        assert "invalid UUID value" in shell.refused("story", "spring-500")

    async def test_every_step_and_every_error_is_told(self, house: House, database: str) -> None:
        house.sandbox.faults(issuer="refuse")
        order = await house.paid_order()
        await house.work_until_refund(order.id, RefundState.SUCCESS)
        told = command(database, "story", str(order.id))
        assert (told.code, told.err) == (0, "")
        *steps, error = told.out.splitlines()
        rows = await story(order.id)
        assert [row.rule for row in rows] == [1, 2, 4, 10, 12, 16, 16]
        for line, row in zip(steps, rows, strict=True):
            assert line.startswith(f"{row.occurred_at.isoformat(timespec='milliseconds')}  row {row.rule:>2}  ")
            for word in (row.trigger, f"{row.from_state or '-'} -> {row.to_state}", row.actor, row.request_id):
                assert word in line
        assert house.viewer.actor in steps[0]
        assert f"  error   {ErrorKind.RECHARGE_REFUSED}" in error
        assert "¥500.00" in error
        assert (await ErrorEntry.get()).detail in error

    def test_what_somebody_wrote_does_not_steer_the_terminal(self, shell: Shell) -> None:
        reason = "看过了\x1b[2J\r\nyouka: all is well" + "。" * 200

        async def reviewed() -> UUID:
            viewer = await create_viewer()
            order = await create_order(viewer, await create_card(viewer))
            await OrderTransition.create(
                id=new_id(),
                order_id=order.id,
                user_id=order.user_id,
                version=2,
                rule=2,
                trigger="START_PAYMENT",
                from_state=order.state,
                to_state=order.state,
                actor="t",
                reason=reason,
                request_id="",
                occurred_at=utc_now(),
            )
            return order.id

        _, line = shell("story", str(shell.on(reviewed))).out.splitlines()
        assert "\x1b" not in line
        assert "看过了\ufffd[2J\ufffd\ufffdyouka: all is well" + "。" * 200 in line


class TestDatabase:
    @pytest.mark.parametrize("arguments", [["staff-token", "李"], ["story", str(new_id())], offer_of()])
    def test_one_that_is_not_there_is_no_traceback(self, arguments: list[str], free_port: int) -> None:
        outcome = command(f"postgres://nobody@127.0.0.1:{free_port}/none", *arguments)
        assert (outcome.code, outcome.out) == (REFUSED, "")
        assert outcome.err.startswith("the database cannot be used: ")
        assert "Traceback" not in outcome.err

    def test_one_without_tables_says_how_to_make_them(self, postgres_server: str) -> None:
        outcome = command(postgres_server, "add-staff", "李", "--role", "RISK")
        assert (outcome.code, outcome.out) == (REFUSED, "")
        assert "python -m models.database" in outcome.err

    def test_an_embedded_one_is_made_by_the_first_command(self, tmp_path: Path) -> None:
        url = f"sqlite://{tmp_path / 'new' / 'youka.db'}"
        assert command(url, "add-staff", "李", "--role", "RISK").code == 0
        assert command(url, "remove-staff", "李") == Outcome(0, "李 has left\n", "")
