"""What staff has of the table of contents: fields of the same Query, Mutation and Subscription."""

from __future__ import annotations

import strawberry

from resolvers import (
    cases,
    funds,
    insurance,
    operators,
    reconciliation,
    sign_ins,
    switches,
)
from schema.types import costs
from schema.types import requirements as allowed
from schema.types.alerts import AlertStreamEvent
from schema.types.availability import AVAILABLE_IN_MAINTENANCE
from schema.types.cases import CaseConnection, OrderReviewConnection
from schema.types.delivery import LOSSLESS_FOR_VIEWER
from schema.types.finance_report import FinanceReport
from schema.types.fund_payloads import (
    AmendTransferPayload,
    DecidePayeePayload,
    DecideTransferPayload,
    FileInsuranceClaimPayload,
    InsuranceClaimPayload,
    PayInsuranceClaimPayload,
    ProposePayeePayload,
    ProposeTransferPayload,
    RegisterInsurancePolicyPayload,
    RevokePayeePayload,
    WithdrawTransferPayload,
)
from schema.types.funds import (
    EscrowPosition,
    PayeeConnection,
    SettlementConnection,
    SweepConnection,
    TransferConnection,
)
from schema.types.insurance import InsuranceClaimConnection, InsurancePolicyConnection
from schema.types.operators import (
    FoundOrderConnection,
    LedgerErrorConnection,
    ParkedWorkEntryConnection,
    QueueCount,
    StaffActionConnection,
    SuspenseEntryConnection,
    WorkStatus,
)
from schema.types.payloads import (
    CasePayload,
    DifferencePayload,
    ProposeReversalPayload,
    ReviewOrderPayload,
    SettleWorkPayload,
    TurnSwitchPayload,
)
from schema.types.reconciliation import DifferenceConnection, ReconciliationRunConnection, SuspenseAge
from schema.types.sign_ins import SignInConnection
from schema.types.story import OrderStory
from subscriptions import streams


@strawberry.type
class StaffQuery:
    reviews: OrderReviewConnection = strawberry.field(
        resolver=cases.reviews,
        directives=[allowed.ANY_STAFF, costs.READS, costs.PAGE],
        description="Paid orders that wait for a review, oldest first. For staff.",
    )
    cases: CaseConnection = strawberry.field(
        resolver=cases.cases,
        directives=[allowed.ANY_STAFF, costs.READS, costs.PAGE],
        description="Cases that are not resolved, oldest first. For staff.",
    )
    reconciliation_runs: ReconciliationRunConnection = strawberry.field(
        resolver=reconciliation.reconciliation_runs,
        directives=[allowed.SEES_BOOKS, costs.READS, costs.PAGE],
        description="Bills of third parties that were compared with our books, newest first. For finance staff and "
        "auditors.",
    )
    reconciliation_differences: DifferenceConnection = strawberry.field(
        resolver=reconciliation.reconciliation_differences,
        directives=[allowed.SEES_BOOKS, costs.READS, costs.PAGE],
        description="What bills and our books differ about, oldest first. For finance staff and auditors.",
    )
    suspense_ageing: list[SuspenseAge] = strawberry.field(
        resolver=reconciliation.suspense_ageing,
        directives=[allowed.SEES_BOOKS, costs.READS, costs.at_most(100)],
        description="How long what nobody has explained stands in suspense, by account. For finance staff and "
        "auditors.",
    )
    sign_ins: SignInConnection = strawberry.field(
        resolver=sign_ins.sign_ins,
        directives=[allowed.SIGN_INS, costs.READS, costs.PAGE],
        description="The audit of one account's sign-ins, newest first. Each look is recorded. For auditors and risk "
        "staff.",
    )
    work_queue: list[QueueCount] = strawberry.field(
        resolver=operators.work_queue,
        directives=[allowed.ANY_STAFF, costs.READS, costs.at_most(10)],
        description="How much waits of what the roles of whoever asks can act on. For staff.",
    )
    work_status: list[WorkStatus] = strawberry.field(
        resolver=operators.work_status,
        directives=[allowed.ANY_STAFF, costs.READS, costs.at_most(100)],
        description="How the work of the house stands: what waits, is late, runs, or is left to people. For staff.",
    )
    parked_work: ParkedWorkEntryConnection = strawberry.field(
        resolver=operators.parked_work,
        directives=[allowed.ANY_STAFF, costs.READS, costs.PAGE],
        description="Work that no retry could settle, what has waited longest first. For staff.",
    )
    ledger_errors: LedgerErrorConnection = strawberry.field(
        resolver=operators.ledger_errors,
        directives=[allowed.SEES_CUSTOMERS, costs.READS, costs.PAGE],
        description="The error ledger: what went wrong with somebody's money, newest first. For staff.",
    )
    suspense_entries: SuspenseEntryConnection = strawberry.field(
        resolver=operators.suspense_entries,
        directives=[allowed.SEES_BOOKS, costs.READS, costs.PAGE],
        description="The lines of one suspense account, newest first. For finance staff and auditors.",
    )
    search_orders: FoundOrderConnection = strawberry.field(
        resolver=operators.search_orders,
        directives=[allowed.SEES_CUSTOMERS, costs.SEARCH, costs.PAGE],
        description="Orders by what a customer, a channel or an issuer names, newest first. Each look is recorded. For "
        "staff.",
    )
    order_story: OrderStory = strawberry.field(
        resolver=operators.order_story,
        directives=[allowed.SEES_CUSTOMERS, costs.SEARCH],
        description="Everything that is known of an order, on one timeline. Each look is recorded. For staff.",
    )
    staff_actions: StaffActionConnection = strawberry.field(
        resolver=operators.staff_actions,
        directives=[allowed.SEES_ACTIONS, costs.READS, costs.PAGE],
        description="What staff have done and looked at, newest first. For auditors and administrators.",
    )
    finance_report: FinanceReport = strawberry.field(
        resolver=operators.finance_report,
        directives=[allowed.SEES_BOOKS, costs.SEARCH],
        description="The figures of a business day. For finance staff and auditors.",
    )
    escrow_position: EscrowPosition = strawberry.field(
        resolver=funds.escrow_position,
        directives=[allowed.SEES_BOOKS, costs.READS],
        description="What lies in escrow, and whether the reserve has its share. For finance staff and auditors.",
    )
    transfers: TransferConnection = strawberry.field(
        resolver=funds.transfers,
        directives=[allowed.SEES_BOOKS, costs.READS, costs.PAGE],
        description="Withdrawals, and movements between the escrow accounts, newest first. For finance staff and "
        "auditors.",
    )
    payees: PayeeConnection = strawberry.field(
        resolver=funds.registered_payees,
        directives=[allowed.SEES_BOOKS, costs.READS, costs.PAGE],
        description="Bank accounts that withdrawals may go to, newest first. For finance staff and auditors.",
    )
    settlements: SettlementConnection = strawberry.field(
        resolver=funds.settlements,
        directives=[allowed.SEES_BOOKS, costs.READS, costs.PAGE],
        description="What channels have paid out, newest first. For finance staff and auditors.",
    )
    sweeps: SweepConnection = strawberry.field(
        resolver=funds.sweeps,
        directives=[allowed.SEES_BOOKS, costs.READS, costs.PAGE],
        description="What the sweeps have moved, newest first. For finance staff and auditors.",
    )
    insurance_policies: InsurancePolicyConnection = strawberry.field(
        resolver=insurance.insurance_policies,
        directives=[allowed.SEES_BOOKS, costs.READS, costs.PAGE],
        description="What is insured, newest first. For finance staff and auditors.",
    )
    insurance_claims: InsuranceClaimConnection = strawberry.field(
        resolver=insurance.insurance_claims,
        directives=[allowed.SEES_BOOKS, costs.READS, costs.PAGE],
        description="What is claimed of insurers, newest first. For finance staff and auditors.",
    )


@strawberry.type
class StaffMutation:
    review_order: ReviewOrderPayload = strawberry.field(
        resolver=cases.review_order,
        directives=[allowed.RISK, costs.WRITE],
        description="Decide on a paid order that waits for a review. For risk staff.",
    )
    propose_reversal: ProposeReversalPayload = strawberry.field(
        resolver=cases.propose_reversal,
        directives=[allowed.FINANCE, costs.WRITE],
        description="Propose to take back a recharge that had succeeded; a second person approves. For finance staff.",
    )
    propose_outcome: CasePayload = strawberry.field(
        resolver=cases.propose_outcome,
        directives=[allowed.FINANCE, costs.WRITE],
        description="Propose how a case ends; a second person approves. For finance staff.",
    )
    approve_case: CasePayload = strawberry.field(
        resolver=cases.approve_case,
        directives=[allowed.FINANCE, costs.WRITE],
        description="Let happen what somebody else has proposed. For finance staff.",
    )
    propose_difference_resolution: DifferencePayload = strawberry.field(
        resolver=reconciliation.propose_difference_resolution,
        directives=[allowed.BOOKS, costs.WRITE],
        description="Propose where a difference's money goes; a second person approves. For finance staff.",
    )
    approve_difference_resolution: DifferencePayload = strawberry.field(
        resolver=reconciliation.approve_difference_resolution,
        directives=[allowed.BOOKS, costs.WRITE],
        description="Let happen what somebody else has proposed about a difference. For finance staff.",
    )
    retry_work: SettleWorkPayload = strawberry.field(
        resolver=operators.retry_work,
        directives=[allowed.WORK, costs.WRITE],
        description="Make parked work due again. For operations and finance staff.",
    )
    dismiss_work: SettleWorkPayload = strawberry.field(
        resolver=operators.dismiss_work,
        directives=[allowed.WORK, costs.WRITE],
        description="Settle parked work as it is, so that it never runs again. For operations and finance staff.",
    )
    propose_withdrawal: ProposeTransferPayload = strawberry.field(
        resolver=funds.propose_withdrawal,
        directives=[allowed.FINANCE, costs.WRITE],
        description="Propose to pay a registered payee; a second person checks. For finance staff.",
    )
    amend_withdrawal: AmendTransferPayload = strawberry.field(
        resolver=funds.amend_withdrawal,
        directives=[allowed.FINANCE, costs.WRITE],
        description="Change what one has proposed; its approvals are void with that. For finance staff.",
    )
    propose_reserve_release: ProposeTransferPayload = strawberry.field(
        resolver=funds.propose_reserve_release,
        directives=[allowed.FINANCE, costs.WRITE],
        description="Propose to move money out of the reserve. For finance staff.",
    )
    check_transfer: DecideTransferPayload = strawberry.field(
        resolver=funds.check_transfer,
        directives=[allowed.FINANCE, costs.WRITE],
        description="Agree to what somebody else has proposed, as the second person. For finance staff.",
    )
    approve_transfer_as_director: DecideTransferPayload = strawberry.field(
        resolver=funds.approve_transfer_as_director,
        directives=[allowed.DIRECTOR, costs.WRITE],
        description="Agree to a large transfer, or to one out of the reserve. For the finance director.",
    )
    reject_transfer: DecideTransferPayload = strawberry.field(
        resolver=funds.reject_transfer,
        directives=[allowed.BOOKS, costs.WRITE],
        description="Refuse what somebody else has proposed. For finance staff.",
    )
    withdraw_transfer: WithdrawTransferPayload = strawberry.field(
        resolver=funds.withdraw_transfer,
        directives=[allowed.FINANCE, costs.WRITE],
        description="Take back what one has proposed, before the bank is told. For finance staff.",
    )
    propose_payee: ProposePayeePayload = strawberry.field(
        resolver=funds.propose_payee,
        directives=[allowed.FINANCE, costs.WRITE],
        description="Register a bank account; a second person lets it in. For finance staff.",
    )
    approve_payee: DecidePayeePayload = strawberry.field(
        resolver=funds.approve_payee,
        directives=[allowed.BOOKS, costs.WRITE],
        description="Let in a bank account that somebody else has registered. For finance staff.",
    )
    reject_payee: DecidePayeePayload = strawberry.field(
        resolver=funds.reject_payee,
        directives=[allowed.BOOKS, costs.WRITE],
        description="Refuse a bank account that somebody else has registered. For finance staff.",
    )
    revoke_payee: RevokePayeePayload = strawberry.field(
        resolver=funds.revoke_payee,
        directives=[allowed.BOOKS, costs.WRITE],
        description="Let nothing more go to a bank account. For finance staff.",
    )
    register_insurance_policy: RegisterInsurancePolicyPayload = strawberry.field(
        resolver=insurance.register_insurance_policy,
        directives=[allowed.FINANCE, costs.WRITE],
        description="Note what is insured. For finance staff.",
    )
    file_insurance_claim: FileInsuranceClaimPayload = strawberry.field(
        resolver=insurance.file_insurance_claim,
        directives=[allowed.FINANCE, costs.WRITE],
        description="Claim for an incident. For finance staff.",
    )
    accept_insurance_claim: InsuranceClaimPayload = strawberry.field(
        resolver=insurance.accept_insurance_claim,
        directives=[allowed.FINANCE, costs.WRITE],
        description="Note what an insurer grants; somebody else books it. For finance staff.",
    )
    pay_insurance_claim: PayInsuranceClaimPayload = strawberry.field(
        resolver=insurance.pay_insurance_claim,
        directives=[allowed.BOOKS, costs.WRITE],
        description="Book what has arrived of an insurer. For finance staff.",
    )
    reject_insurance_claim: InsuranceClaimPayload = strawberry.field(
        resolver=insurance.reject_insurance_claim,
        directives=[allowed.FINANCE, costs.WRITE],
        description="Note that an insurer does not pay. For finance staff.",
    )
    withdraw_insurance_claim: InsuranceClaimPayload = strawberry.field(
        resolver=insurance.withdraw_insurance_claim,
        directives=[allowed.FINANCE, costs.WRITE],
        description="Give a claim up. For finance staff.",
    )
    turn_switch: TurnSwitchPayload = strawberry.field(
        resolver=switches.turn_switch,
        directives=[allowed.OPERATIONS, AVAILABLE_IN_MAINTENANCE, costs.WRITE],
        description="Turn a switch of the service on or off. For operations staff.",
    )


@strawberry.type
class StaffSubscription:
    alerts: AlertStreamEvent = strawberry.subscription(
        resolver=streams.alerts,
        directives=[allowed.ANY_STAFF, LOSSLESS_FOR_VIEWER, costs.READS],
        description="Whatever begins to wait for staff: reviews, cases, what finance has to approve, parked work and "
        "differences, and locks of sign-ins; of these, what the roles of whoever listens can act on. For staff.",
    )
