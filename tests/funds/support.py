"""Escrow with money in it, people who sign, a bank that a test writes itself, and what a refusal must leave alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from domain.access import second_factor, totp
from domain.access.policy import Attempts
from domain.access.second_factor import Signature
from domain.funds import audit, operations, payees
from domain.funds.policy import Policy
from domain.identity.staff import Staff
from domain.ledger import postings
from domain.payments.banks import (
    Arrival,
    BankTransfer,
    BankTransferFacts,
    BankTransferState,
    BankUnavailable,
)
from kernel.clock import utc_now
from kernel.fund_states import PayeeKind
from kernel.ids import new_id
from kernel.settings import Settings
from kernel.states import StaffRole
from models.access import StaffCredential
from models.events import Event
from models.funds import FundPayee, FundStep, FundTransfer, InsuranceClaim
from models.jobs import Job
from models.ledger import LedgerTransaction
from models.staff_actions import StaffAction
from tests.audits import assert_audits_find_nothing
from tests.factories import SEALER, create_staff
from tests.ledger.booking import CLEARING, book

POLICY = Policy.of(Settings())
LIMIT = Attempts(5, timedelta(minutes=15))
LARGE_YUAN = Decimal("200000.00")
ACCOUNT_NUMBER = "6222021234567890123"
FIRST_STEP = 1


async def fill(operating_fen: int = 100_000_00, reserve_fen: int = 0, *, now: datetime | None = None) -> None:
    """Have so much lie in escrow, as a settlement and a sweep would have left it."""
    reference = uuid4().hex[:12]
    settled = postings.settled(
        reference=reference, clearing=CLEARING, amount_fen=operating_fen + reserve_fen, fee_fen=0
    )
    await book(settled, now=now)
    if reserve_fen:
        into = postings.swept(reference=reference, into=postings.ESCROW_RESERVE, amount_fen=reserve_fen)
        await book(into, now=now)


async def enrolled(*roles: StaffRole) -> tuple[Staff, str]:
    """Return a new member of staff and the secret of their authenticator."""
    member = await create_staff(*roles)
    return member, await give_secret(member)


async def give_secret(member: Staff) -> str:
    secret = totp.new_secret()
    await StaffCredential.create(
        id=new_id(),
        staff_id=member.id,
        password_hash="",
        totp_sealed=SEALER.seal(secret, owner=f"totp:{member.id}"),
        totp_step=0,
        changed_at=utc_now(),
    )
    return secret


@dataclass
class Signer:
    """Somebody who can sign; each signature is of a later moment, as one has to wait for another code."""

    staff: Staff
    secret: str
    at: datetime = field(default_factory=utc_now)

    @classmethod
    async def of(cls, *roles: StaffRole) -> Signer:
        return cls(*await enrolled(*roles))

    def code(self) -> str:
        self.at += timedelta(seconds=totp.STEP_S)
        return totp.code_at(self.secret, totp.step_of(self.at))

    async def sign(self) -> Signature:
        code = self.code()
        return await second_factor.sign(staff=self.staff, code=code, sealer=SEALER, limit=LIMIT, now=self.at)


async def finance() -> Signer:
    return await Signer.of(StaffRole.FINANCE)


async def director() -> Signer:
    return await Signer.of(StaffRole.FINANCE_DIRECTOR)


async def propose_payee(maker: Staff, *, number: str = ACCOUNT_NUMBER, **changes: Any) -> FundPayee:
    given: dict[str, Any] = {
        "kind": PayeeKind.ISSUER,
        "party": "sinopec",
        "name": "中国石化销售有限公司",
        "bank_code": "102100099996",
        "reason": "our deposit",
        **changes,
    }
    return await payees.propose(staff=maker, account_number=number, sealer=SEALER, now=utc_now(), **given)


async def create_payee(**changes: Any) -> FundPayee:
    """Return a payee that two people have let in."""
    maker, checker = await finance(), await finance()
    row = await propose_payee(maker.staff, number=f"6222{new_id().int % 10**15:015d}", **changes)
    return await payees.approve(
        signature=await checker.sign(), payee_id=row.id, version=row.version, reason="seen", now=utc_now()
    )


async def propose(
    maker: Staff, payee: FundPayee, *, yuan: str | Decimal = "1000.00", key: str | None = None, **changes: Any
) -> FundTransfer:
    return await operations.propose_withdrawal(
        staff=maker,
        payee_id=payee.id,
        yuan=Decimal(yuan),
        reason="the week's deposit",
        key=key or uuid4().hex,
        policy=replace(POLICY, **changes),
        now=utc_now(),
    )


async def check(row: FundTransfer, checker: Signer, *, version: int | None = None) -> FundTransfer:
    return await operations.check(
        signature=await checker.sign(),
        transfer_id=row.id,
        version=version or row.version,
        reason="agreed",
        now=utc_now(),
    )


async def direct(row: FundTransfer, who: Signer, *, version: int | None = None) -> FundTransfer:
    return await operations.direct(
        signature=await who.sign(), transfer_id=row.id, version=version or row.version, reason="agreed", now=utc_now()
    )


async def approved(yuan: str = "1000.00") -> FundTransfer:
    """Return a withdrawal that the bank may be told of."""
    maker, payee = await finance(), await create_payee()
    return await check(await propose(maker.staff, payee, yuan=yuan), await finance())


async def trace() -> list[object]:
    """Return everything that a refusal must leave alone."""
    transfers = await FundTransfer.all().order_by("id").values_list("id", "state", "version", "amount_fen")
    claims = await InsuranceClaim.all().order_by("id").values_list("id", "state", "version")
    known = await FundPayee.all().order_by("id").values_list("id", "state", "version")
    counts = [await kind.all().count() for kind in (FundStep, LedgerTransaction, Event, Job, StaffAction)]
    return [list(transfers), list(claims), list(known), *counts]


async def assert_books_hold() -> None:
    await assert_audits_find_nothing()
    assert await audit.findings(policy=POLICY) == []


@dataclass
class FakeBank:
    """A bank in memory: a reference is carried out once. `lost` loses that many answers, and the transfer is done."""

    lost: int = 0
    unseen: int = 0
    refuses: bool = False
    pending: bool = False
    done: dict[str, BankTransferFacts] = field(default_factory=dict)
    orders: dict[str, BankTransfer] = field(default_factory=dict)
    arrivals: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    on_send: Callable[[], None] = lambda: None

    async def send(self, transfer: BankTransfer) -> BankTransferFacts:
        self.calls += 1
        self.on_send()
        if self.unseen:
            self.unseen -= 1
            raise BankUnavailable("it never got there")
        if transfer.reference not in self.done:
            state = BankTransferState.REFUSED if self.refuses else BankTransferState.DONE
            state = BankTransferState.PENDING if self.pending else state
            self.orders[transfer.reference] = transfer
            self.done[transfer.reference] = BankTransferFacts(
                transfer.reference, state, transfer.amount_fen, f"B{transfer.reference}", "closed"
            )
        assert self.orders[transfer.reference] == transfer
        if self.lost:
            self.lost -= 1
            raise BankUnavailable("the answer is lost")
        return self.done[transfer.reference]

    async def query(self, reference: str) -> BankTransferFacts:
        self.calls += 1
        unknown = BankTransferFacts(reference, BankTransferState.NOT_FOUND, 0, "", "")
        return self.done.get(reference, unknown)

    async def arrival(self, reference: str) -> Arrival | None:
        fen = self.arrivals.get(reference)
        return Arrival(reference, f"A{reference}", fen) if fen is not None else None

    @property
    def moved_fen(self) -> int:
        return sum(each.amount_fen for each in self.done.values() if each.state is BankTransferState.DONE)
