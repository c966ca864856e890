"""The daily finance report."""

from __future__ import annotations

from datetime import date
from typing import Self

import strawberry

from domain.finance.figures import AccountSum, Report
from kernel.money import Money as Amount
from schema.types import costs
from schema.types.money import Money
from schema.types.operator_enums import FigureKind, FigureName, ReportStatus
from schema.types.scalars import DateTime


@strawberry.type(directives=[costs.FREE], description="One figure of the report.")
class FinanceFigure:
    name: FigureName = strawberry.field(description="Which one.")
    kind: FigureKind = strawberry.field(description="Whether it moved on the day, or is held at its end.")
    amount: Money = strawberry.field(description="How much.")


@strawberry.type(
    directives=[costs.FREE],
    description="One account over the day. The accounts of all users of one kind are one account here.",
)
class FinanceAccount:
    account: str = strawberry.field(description="The account's code.")
    opening: Money = strawberry.field(description="Debits minus credits before the day.")
    debit: Money = strawberry.field(description="What was debited on the day.")
    credit: Money = strawberry.field(description="What was credited on the day.")
    closing: Money = strawberry.field(description="Debits minus credits at the end of the day.")

    @classmethod
    def of(cls, row: AccountSum) -> Self:
        opening, debit, credit, closing = (
            Money.showing(Amount(fen)) for fen in (row.opening_fen, row.debit_fen, row.credit_fen, row.closing_fen)
        )
        return cls(account=row.account, opening=opening, debit=debit, credit=credit, closing=closing)


@strawberry.type(description="The finance report of one business day in Asia/Shanghai, from the ledger. For finance.")
class FinanceReport:
    day: date = strawberry.field(description="The day.")
    status: ReportStatus = strawberry.field(description="Whether it can still change.")
    as_of: DateTime = strawberry.field(description="When it was read, or closed.")
    figures: list[FinanceFigure] = strawberry.field(
        directives=[costs.at_most(20)], description="The figures, always all of them."
    )
    accounts: list[FinanceAccount] = strawberry.field(
        directives=[costs.at_most(50)], description="Every account that was ever booked to, by code."
    )
    total_debit: Money = strawberry.field(description="All debits of the day.")
    total_credit: Money = strawberry.field(description="All credits of the day, which are the same.")

    @classmethod
    def of(cls, report: Report) -> Self:
        return cls(
            day=report.day,
            status=report.status,
            as_of=DateTime(report.as_of),
            figures=[
                FinanceFigure(name=name, kind=kind, amount=Money.showing(amount))
                for name, kind, amount in report.figures
            ],
            accounts=[FinanceAccount.of(each) for each in report.accounts],
            total_debit=Money.showing(report.debit),
            total_credit=Money.showing(report.credit),
        )
