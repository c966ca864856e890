"""The work and the commands: which days are written down, what is tried again, and what is printed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from domain.ledger import postings
from domain.payments.bills import BillLine, BillLineKind, BillNotReady, BillRefused
from domain.reconciliation import queries
from domain.reconciliation.books import UnknownSource, books_of
from domain.reconciliation.scheduling import schedule_days
from domain.reconciliation.sources import BankFlow, of_day
from domain.work.operations import Kind
from jobs import reconcile
from jobs.reconciliation import ReconciliationWork
from jobs.worker import NeedsPerson, Worker
from kernel.clock import utc_now
from kernel.settings import Settings, get_settings
from kernel.states import DifferenceState, ReconciliationState
from models.jobs import Job
from models.reconciliation import ReconciliationDifference, ReconciliationRun
from tests.ledger.booking import book
from tests.reconciliation.support import DAY, LIMITS, SOURCE, FakeChannel, at, run, stranger

NEXT = DAY + timedelta(days=1)


async def days() -> list[str]:
    return sorted([job.payload["day"] for job in await Job.filter(kind=Kind.RECONCILE)])


@pytest.mark.usefixtures("database")
class TestScheduling:
    @pytest.mark.parametrize(
        ("now", "due", "again_at"),
        [(at(NEXT, 10, 59), DAY - timedelta(days=1), at(NEXT, 11)), (at(NEXT, 11), DAY, at(NEXT, 11) + timedelta(1))],
    )
    async def test_a_day_is_due_once_its_bill_may_be_there(
        self, now: datetime, due: object, again_at: datetime
    ) -> None:
        for _ in range(2):
            assert await schedule_days(sources=[SOURCE], hour=11, now=now) == again_at
        assert await days() == [str(due)]

    async def test_days_that_were_missed_are_made_up_for(self, folder: Path) -> None:
        await run(FakeChannel(bills={DAY: []}), folder)
        await schedule_days(sources=[SOURCE], hour=11, now=at(DAY + timedelta(days=4), 12))
        assert await days() == [str(DAY + timedelta(days=number)) for number in (1, 2, 3)]


def worker_of(channel: FakeChannel, folder: Path, **settings: object) -> tuple[Worker, ReconciliationWork]:
    chosen = Settings(data_dir=folder, reconciliation_retry_first_s=0.001, **settings)  # type: ignore[arg-type]
    work = ReconciliationWork(chosen, {channel.name: channel})
    return Worker(work.by_kind(), chosen, timeouts_s=work.timeouts_s()), work


async def work_on(worker: Worker) -> Job:
    await Job.filter(done_at__isnull=True, parked_at__isnull=True).update(due_at=utc_now())
    await worker.run_due()
    await worker.settle()
    return await Job.get(kind=Kind.RECONCILE)


@pytest.mark.usefixtures("database")
class TestWork:
    async def test_a_bill_that_is_late_or_damaged_is_asked_for_again(self, folder: Path) -> None:
        channel = FakeChannel()
        worker, _ = worker_of(channel, folder)
        await schedule_days(sources=[SOURCE], hour=11, now=at(NEXT, 12))
        job = await work_on(worker)
        assert (job.done_at, job.parked_at, job.attempts) == (None, None, 1)
        channel.bills[DAY], channel.cut_off = [stranger(1)], True
        job = await work_on(worker)
        assert (job.done_at, job.parked_at, job.attempts) == (None, None, 2)
        assert await ReconciliationDifference.all().count() == 0
        channel.cut_off = False
        assert (await work_on(worker)).done_at is not None
        assert (await ReconciliationDifference.get()).state is DifferenceState.OPEN

    async def test_a_bill_that_never_comes_is_for_a_person(self, folder: Path) -> None:
        worker, work = worker_of(FakeChannel(), folder, reconciliation_attempts_max=2)
        await schedule_days(sources=[SOURCE], hour=11, now=at(NEXT, 12))
        assert (await work_on(worker)).parked_at is None
        assert (await work_on(worker)).parked_at is not None
        elsewhere = Job(kind=Kind.RECONCILE, payload={"source": "alipay:2088", "day": str(DAY)})
        with pytest.raises(NeedsPerson):
            await work.reconcile(elsewhere, utc_now())


class TestSources:
    @pytest.mark.parametrize("name", ["", "wechat_pay", "issuer:", "escrow:elsewhere"])
    def test_a_name_that_is_none(self, name: str) -> None:
        with pytest.raises(UnknownSource):
            books_of(name)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "reference,yuan\n",
            "reference,yuan\nS1,1.00\n",
            "reference,yuan\nS1,1.00\ntotal,1,1.01\n",
            "reference,yuan\nS1,1.00\ntotal,2,1.00\n",
            "reference,yuan\nS1,1.00\ntotal,1,1.00\nS2,1.00\n",
            "reference,yuan\nS1,1.001\ntotal,1,1.00\n",
            "reference,yuan\nS1,NaN\ntotal,1,1.00\n",
            "reference,yuan\n,1.00\ntotal,1,1.00\n",
            "other,yuan\ntotal,0,0.00\n",
        ],
    )
    def test_a_banks_file_that_is_cut_off_or_altered(self, text: str, folder: Path) -> None:
        (folder / "flow.csv").write_text(text)
        with pytest.raises(BillRefused):
            list(BankFlow("escrow:operating").read(folder / "flow.csv", day=DAY))

    def test_a_bill_of_another_day_is_none_and_a_stray_line_is_no_reason(self) -> None:
        mine, strays = stranger(1), [stranger(number, day=NEXT) for number in (2, 3)]
        for lines in ([], [mine], [*strays, mine], [replace(strays[0], kind=BillLineKind.REFUND)]):
            assert list(of_day(lines, DAY)) == lines
        read: list[BillLine] = []
        with pytest.raises(BillRefused, match="another day"):
            read.extend(of_day(strays, DAY))

    async def test_a_banks_flow_is_not_fetched(self, folder: Path) -> None:
        with pytest.raises(BillNotReady):
            await BankFlow("escrow:operating").fetch(day=DAY, into=folder / "flow.csv")


async def settle() -> None:
    clearing = postings.channel_clearing("wechat_pay", "1900000209")
    for reference, fen in (("S1", 100_000), ("S2", 50_000)):
        await book(postings.settled(reference=reference, clearing=clearing, amount_fen=fen, fee_fen=600), now=at(DAY))
    await book(postings.swept(reference="W1", into=postings.ESCROW_RESERVE, amount_fen=30_000), now=at(DAY))


@pytest.mark.usefixtures("database")
async def test_the_banks_flow_is_compared_with_escrow(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(folder))
    get_settings.cache_clear()
    await settle()
    flow = folder / "flow.csv"
    flow.write_text("reference,yuan\nS1,994.00\nW1,-300.00\nX9,12.00\ntotal,3,706.00\n")
    bank = BankFlow("escrow:operating")
    assert await reconcile._compare(bank, DAY, flow, LIMITS, as_json=True) == reconcile.DIFFERENT
    document = json.loads(capsys.readouterr().out)
    assert (document["matched"], document["differences"]) == (2, {"LONG": 1, "SHORT": 1})
    assert await reconcile._compare(bank, DAY, flow, LIMITS, as_json=False) == reconcile.DIFFERENT
    assert "MATCH" in capsys.readouterr().out
    rows = {row.key: row.state for row in await ReconciliationDifference.all()}
    assert rows == {"S2": DifferenceState.WAITING, "X9": DifferenceState.OPEN}
    flow.write_text("reference,yuan\n")
    assert await reconcile._compare(bank, DAY, flow, LIMITS, as_json=False) == reconcile.REFUSED
    assert "cannot be used" in capsys.readouterr().err
    assert await reconcile._compare(bank, DAY, folder / "gone", LIMITS, as_json=False) == reconcile.REFUSED
    states = {row.state for row in await ReconciliationRun.all()}
    assert states == {ReconciliationState.DONE, ReconciliationState.REFUSED, ReconciliationState.STOPPED}
    get_settings.cache_clear()


@pytest.mark.usefixtures("database")
async def test_suspense_is_told_by_its_age(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await reconcile.show_ageing(as_json=False) == reconcile.AGREED
    assert "nothing stands in suspense" in capsys.readouterr().out
    for number, opened in enumerate((0, 1, 2, 7, 8, 30, 31)):
        day = DAY - timedelta(days=opened)
        await run(FakeChannel(bills={day: [stranger(number, 100, day)]}), folder, day, now=at(day))
    (ageing,) = await queries.suspense_ageing(now=at(DAY, 23))
    assert (ageing.counts, ageing.balance.fen, ageing.unexplained.fen) == ([2, 2, 2, 1], -700, 0)
    assert await reconcile.show_ageing(as_json=True) == reconcile.AGREED
    (document,) = json.loads(capsys.readouterr().out)
    assert (document["account"], document["balance_fen"]) == ("suspense:wechat_pay", -700)
