"""What mutations answer: a success, or one of the errors that the user can act on."""

from __future__ import annotations

from typing import Annotated

import strawberry

from schema.types.access import DeviceSuccess, EndAllSessionsSuccess, EndSessionSuccess, RotateClientKeySuccess
from schema.types.account import PaymentPasswordSuccess, SetSpendingLimitsSuccess, UnbindCardSuccess
from schema.types.account_errors import CardInUseError, PaymentPasswordError, PhoneError, StepUpError
from schema.types.budgets import RateLimitedError
from schema.types.cards import Card, CheckCardSuccess
from schema.types.cases import CaseSuccess, ReviewOrderSuccess
from schema.types.errors import (
    CardCheckError,
    ChannelError,
    CursorError,
    DecisionError,
    DeviceError,
    FaceCheckError,
    Forbidden,
    IdempotencyError,
    InsufficientBalance,
    InvalidAmount,
    InvalidCardNumber,
    InvalidClientKey,
    InvalidWebhookDocument,
    InvalidWebhookUrl,
    LimitReached,
    MaintenanceError,
    MessageTemplateError,
    NotFound,
    NotOffered,
    OfferError,
    OrderStateError,
    PaymentMethodError,
    SwitchError,
)
from schema.types.fund_errors import SecondFactorError
from schema.types.mandate_errors import MandateError
from schema.types.mandates import CreateMandateSuccess, LowerMandateCapsSuccess, RevokeMandateSuccess
from schema.types.messages import BindPhoneSuccess, MessageConsentSuccess, RequestSmsCodeSuccess
from schema.types.notices import AckNoticeSuccess
from schema.types.operators import SettleWorkSuccess
from schema.types.orders import (
    CancelRechargeSuccess,
    CreateRechargeSuccess,
    PayRechargeSuccess,
    StartFaceCheckSuccess,
    SyncDraftOrdersSuccess,
)
from schema.types.organisation_errors import MemberLimitError, OrganisationError
from schema.types.reconciliation import DifferenceSuccess
from schema.types.status import TurnSwitchSuccess
from schema.types.step_up import ConfirmStepUpSuccess, StartStepUpSuccess
from schema.types.voice import VoiceTurnSuccess
from schema.types.voice_errors import ConfirmationError, VoiceInputError, VoiceNotAllowed
from schema.types.wallet import TopUpWalletSuccess
from schema.types.webhooks import DeleteWebhookSuccess, SendTestWebhookSuccess, WebhookSecretSuccess, WebhookSuccess


@strawberry.type(description="The card is bound, or was bound before.")
class BindCardSuccess:
    card: Card = strawberry.field(description="The card.")


BindCardPayload = Annotated[
    BindCardSuccess | InvalidCardNumber | LimitReached | OrganisationError | MaintenanceError,
    strawberry.union("BindCardPayload", description="What `bindCard` answers."),
]
CheckCardPayload = Annotated[
    CheckCardSuccess | NotFound | CardCheckError | RateLimitedError | MaintenanceError,
    strawberry.union("CheckCardPayload", description="What `checkCard` answers."),
]
CreateRechargePayload = Annotated[
    CreateRechargeSuccess
    | InvalidAmount
    | LimitReached
    | MemberLimitError
    | NotFound
    | IdempotencyError
    | OfferError
    | RateLimitedError
    | MaintenanceError,
    strawberry.union("CreateRechargePayload", description="What `createRecharge` answers."),
]
PayRechargePayload = Annotated[
    PayRechargeSuccess
    | NotFound
    | IdempotencyError
    | OrderStateError
    | ChannelError
    | InsufficientBalance
    | FaceCheckError
    | PaymentMethodError
    | MandateError
    | PaymentPasswordError
    | RateLimitedError
    | MaintenanceError,
    strawberry.union("PayRechargePayload", description="What `payRecharge` answers."),
]
CancelRechargePayload = Annotated[
    CancelRechargeSuccess | NotFound | OrderStateError | ChannelError | MaintenanceError,
    strawberry.union("CancelRechargePayload", description="What `cancelRecharge` answers."),
]
StartFaceCheckPayload = Annotated[
    StartFaceCheckSuccess | NotFound | OrderStateError | FaceCheckError | RateLimitedError | MaintenanceError,
    strawberry.union("StartFaceCheckPayload", description="What `startFaceCheck` answers."),
]
SyncDraftOrdersPayload = Annotated[
    SyncDraftOrdersSuccess | LimitReached | RateLimitedError | MaintenanceError,
    strawberry.union("SyncDraftOrdersPayload", description="What `syncDraftOrders` answers."),
]
TopUpWalletPayload = Annotated[
    TopUpWalletSuccess | InvalidAmount | IdempotencyError | ChannelError | RateLimitedError | MaintenanceError,
    strawberry.union("TopUpWalletPayload", description="What `topUpWallet` answers."),
]
CreateMandatePayload = Annotated[
    CreateMandateSuccess
    | MandateError
    | StepUpError
    | InvalidAmount
    | IdempotencyError
    | ChannelError
    | Forbidden
    | NotOffered
    | RateLimitedError
    | MaintenanceError,
    strawberry.union("CreateMandatePayload", description="What `createMandate` answers."),
]
LowerMandateCapsPayload = Annotated[
    LowerMandateCapsSuccess | MandateError | InvalidAmount | NotFound | Forbidden | MaintenanceError,
    strawberry.union("LowerMandateCapsPayload", description="What `lowerMandateCaps` answers."),
]
RevokeMandatePayload = Annotated[
    RevokeMandateSuccess | NotFound,
    strawberry.union("RevokeMandatePayload", description="What `revokeMandate` answers."),
]
StartStepUpPayload = Annotated[
    StartStepUpSuccess
    | StepUpError
    | PhoneError
    | FaceCheckError
    | InvalidAmount
    | NotOffered
    | RateLimitedError
    | MaintenanceError,
    strawberry.union("StartStepUpPayload", description="What `startStepUp` answers."),
]
ConfirmStepUpPayload = Annotated[
    ConfirmStepUpSuccess | StepUpError | PhoneError | FaceCheckError | RateLimitedError | MaintenanceError,
    strawberry.union("ConfirmStepUpPayload", description="What `confirmStepUp` answers."),
]
PaymentPasswordPayload = Annotated[
    PaymentPasswordSuccess | PaymentPasswordError | StepUpError | MaintenanceError,
    strawberry.union("PaymentPasswordPayload", description="What `setPaymentPassword`, `change…` and `reset…` answer."),
]
SetSpendingLimitsPayload = Annotated[
    SetSpendingLimitsSuccess | InvalidAmount | StepUpError | MaintenanceError,
    strawberry.union("SetSpendingLimitsPayload", description="What `setSpendingLimits` answers."),
]
UnbindCardPayload = Annotated[
    UnbindCardSuccess | NotFound | CardInUseError | StepUpError | MaintenanceError,
    strawberry.union("UnbindCardPayload", description="What `unbindCard` answers."),
]
ReviewOrderPayload = Annotated[
    ReviewOrderSuccess | NotFound | Forbidden | DecisionError | MaintenanceError,
    strawberry.union("ReviewOrderPayload", description="What `reviewOrder` answers."),
]
ProposeReversalPayload = Annotated[
    CaseSuccess | NotFound | Forbidden | OrderStateError | DecisionError | MaintenanceError,
    strawberry.union("ProposeReversalPayload", description="What `proposeReversal` answers."),
]
CasePayload = Annotated[
    CaseSuccess
    | NotFound
    | Forbidden
    | DecisionError
    | InsufficientBalance
    | SecondFactorError
    | LimitReached
    | MaintenanceError,
    strawberry.union("CasePayload", description="What `proposeOutcome` and `approveCase` answer."),
]
DifferencePayload = Annotated[
    DifferenceSuccess | NotFound | Forbidden | DecisionError | SecondFactorError | LimitReached | MaintenanceError,
    strawberry.union(
        "DifferencePayload",
        description="What `proposeDifferenceResolution` and `approveDifferenceResolution` answer.",
    ),
]
AckNoticePayload = Annotated[
    AckNoticeSuccess | CursorError | DeviceError | LimitReached | MaintenanceError,
    strawberry.union("AckNoticePayload", description="What `ackNotice` answers."),
]
RegisterWebhookPayload = Annotated[
    WebhookSecretSuccess
    | Forbidden
    | InvalidWebhookUrl
    | InvalidWebhookDocument
    | CursorError
    | LimitReached
    | MaintenanceError,
    strawberry.union("RegisterWebhookPayload", description="What `registerWebhook` answers."),
]
UpdateWebhookPayload = Annotated[
    WebhookSuccess | Forbidden | NotFound | InvalidWebhookUrl | MaintenanceError,
    strawberry.union("UpdateWebhookPayload", description="What `updateWebhook` answers."),
]
PauseWebhookPayload = Annotated[
    WebhookSuccess | Forbidden | NotFound | MaintenanceError,
    strawberry.union("PauseWebhookPayload", description="What `pauseWebhook` answers."),
]
ResumeWebhookPayload = Annotated[
    WebhookSuccess | Forbidden | NotFound | CursorError | InvalidWebhookDocument | MaintenanceError,
    strawberry.union("ResumeWebhookPayload", description="What `resumeWebhook` answers."),
]
RotateWebhookSecretPayload = Annotated[
    WebhookSecretSuccess | Forbidden | NotFound | MaintenanceError,
    strawberry.union("RotateWebhookSecretPayload", description="What `rotateWebhookSecret` answers."),
]
DeleteWebhookPayload = Annotated[
    DeleteWebhookSuccess | Forbidden | NotFound | MaintenanceError,
    strawberry.union("DeleteWebhookPayload", description="What `deleteWebhook` answers."),
]
SendTestWebhookPayload = Annotated[
    SendTestWebhookSuccess | Forbidden | NotFound | RateLimitedError | MaintenanceError,
    strawberry.union("SendTestWebhookPayload", description="What `sendTestWebhook` answers."),
]
BindPhonePayload = Annotated[
    BindPhoneSuccess | PhoneError | StepUpError | NotOffered | RateLimitedError | MaintenanceError,
    strawberry.union("BindPhonePayload", description="What `bindPhone` and `confirmPhone` answer."),
]
MessageConsentPayload = Annotated[
    MessageConsentSuccess | MessageTemplateError | IdempotencyError | LimitReached | NotOffered | MaintenanceError,
    strawberry.union(
        "MessageConsentPayload", description="What `grantMessageConsent` and `withdrawMessageConsent` answer."
    ),
]
RequestSmsCodePayload = Annotated[
    RequestSmsCodeSuccess | PhoneError | NotOffered | RateLimitedError | MaintenanceError,
    strawberry.union("RequestSmsCodePayload", description="What `requestSmsCode` answers."),
]
VoiceTurnPayload = Annotated[
    VoiceTurnSuccess
    | VoiceInputError
    | VoiceNotAllowed
    | ConfirmationError
    | InvalidAmount
    | LimitReached
    | MemberLimitError
    | NotFound
    | IdempotencyError
    | RateLimitedError
    | MaintenanceError,
    strawberry.union("VoiceTurnPayload", description="What `voiceTurn` answers."),
]
EndSessionPayload = Annotated[
    EndSessionSuccess | NotFound,
    strawberry.union("EndSessionPayload", description="What `endSession` answers."),
]
EndAllSessionsPayload = Annotated[
    EndAllSessionsSuccess | NotFound,
    strawberry.union("EndAllSessionsPayload", description="What `endAllSessions` answers."),
]
DevicePayload = Annotated[
    DeviceSuccess | NotFound | Forbidden | LimitReached,
    strawberry.union("DevicePayload", description="What `approveDevice` and `denyDevice` answer."),
]
RotateClientKeyPayload = Annotated[
    RotateClientKeySuccess | InvalidClientKey | Forbidden,
    strawberry.union("RotateClientKeyPayload", description="What `rotateClientKey` answers."),
]
SettleWorkPayload = Annotated[
    SettleWorkSuccess | NotFound | Forbidden | DecisionError | MaintenanceError,
    strawberry.union("SettleWorkPayload", description="What `retryWork` and `dismissWork` answer."),
]
TurnSwitchPayload = Annotated[
    TurnSwitchSuccess | Forbidden | SwitchError,
    strawberry.union("TurnSwitchPayload", description="What `turnSwitch` answers."),
]
