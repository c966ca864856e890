"""What the mutations of funds and insurance answer."""

from __future__ import annotations

from typing import Annotated

import strawberry

from schema.types.errors import (
    DecisionError,
    Forbidden,
    IdempotencyError,
    InvalidAmount,
    LimitReached,
    MaintenanceError,
    NotFound,
)
from schema.types.fund_errors import EscrowError, SecondFactorError, StaleError
from schema.types.funds import PayeeSuccess, TransferSuccess
from schema.types.insurance import InsuranceClaimSuccess, InsurancePolicySuccess

ProposeTransferPayload = Annotated[
    TransferSuccess
    | NotFound
    | Forbidden
    | DecisionError
    | InvalidAmount
    | EscrowError
    | IdempotencyError
    | MaintenanceError,
    strawberry.union(
        "ProposeTransferPayload", description="What `proposeWithdrawal` and `proposeReserveRelease` answer."
    ),
]
AmendTransferPayload = Annotated[
    TransferSuccess
    | NotFound
    | Forbidden
    | DecisionError
    | InvalidAmount
    | EscrowError
    | StaleError
    | MaintenanceError,
    strawberry.union("AmendTransferPayload", description="What `amendWithdrawal` answers."),
]
DecideTransferPayload = Annotated[
    TransferSuccess
    | NotFound
    | Forbidden
    | DecisionError
    | StaleError
    | SecondFactorError
    | LimitReached
    | MaintenanceError,
    strawberry.union(
        "DecideTransferPayload",
        description="What `checkTransfer`, `approveTransferAsDirector` and `rejectTransfer` answer.",
    ),
]
WithdrawTransferPayload = Annotated[
    TransferSuccess | NotFound | Forbidden | DecisionError | StaleError | MaintenanceError,
    strawberry.union("WithdrawTransferPayload", description="What `withdrawTransfer` answers."),
]
ProposePayeePayload = Annotated[
    PayeeSuccess | Forbidden | DecisionError | MaintenanceError,
    strawberry.union("ProposePayeePayload", description="What `proposePayee` answers."),
]
DecidePayeePayload = Annotated[
    PayeeSuccess
    | NotFound
    | Forbidden
    | DecisionError
    | StaleError
    | SecondFactorError
    | LimitReached
    | MaintenanceError,
    strawberry.union("DecidePayeePayload", description="What `approvePayee` and `rejectPayee` answer."),
]
RevokePayeePayload = Annotated[
    PayeeSuccess | NotFound | Forbidden | DecisionError | StaleError | MaintenanceError,
    strawberry.union("RevokePayeePayload", description="What `revokePayee` answers."),
]
RegisterInsurancePolicyPayload = Annotated[
    InsurancePolicySuccess | Forbidden | DecisionError | MaintenanceError,
    strawberry.union("RegisterInsurancePolicyPayload", description="What `registerInsurancePolicy` answers."),
]
FileInsuranceClaimPayload = Annotated[
    InsuranceClaimSuccess | NotFound | Forbidden | DecisionError | InvalidAmount | MaintenanceError,
    strawberry.union("FileInsuranceClaimPayload", description="What `fileInsuranceClaim` answers."),
]
InsuranceClaimPayload = Annotated[
    InsuranceClaimSuccess | NotFound | Forbidden | DecisionError | InvalidAmount | StaleError | MaintenanceError,
    strawberry.union(
        "InsuranceClaimPayload",
        description="What `acceptInsuranceClaim`, `rejectInsuranceClaim` and `withdrawInsuranceClaim` answer.",
    ),
]
PayInsuranceClaimPayload = Annotated[
    InsuranceClaimSuccess
    | NotFound
    | Forbidden
    | DecisionError
    | StaleError
    | SecondFactorError
    | LimitReached
    | MaintenanceError,
    strawberry.union("PayInsuranceClaimPayload", description="What `payInsuranceClaim` answers."),
]
