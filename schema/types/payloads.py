"""What mutations answer: a success, or one of the errors that the user can act on."""

from __future__ import annotations

from typing import Annotated

import strawberry

from schema.types.cards import Card
from schema.types.cases import CaseSuccess, ReviewOrderSuccess
from schema.types.errors import (
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
    InvalidWebhookDocument,
    InvalidWebhookUrl,
    LimitReached,
    MessageTemplateError,
    NotFound,
    NotOffered,
    OfferError,
    OrderStateError,
    PhoneError,
)
from schema.types.messages import BindPhoneSuccess, MessageConsentSuccess, RequestSmsCodeSuccess
from schema.types.notices import AckNoticeSuccess
from schema.types.orders import (
    CancelRechargeSuccess,
    CreateRechargeSuccess,
    PayRechargeSuccess,
    StartFaceCheckSuccess,
    SyncDraftOrdersSuccess,
)
from schema.types.wallet import TopUpWalletSuccess
from schema.types.webhooks import DeleteWebhookSuccess, SendTestWebhookSuccess, WebhookSecretSuccess, WebhookSuccess


@strawberry.type(description="The card is bound, or was bound before.")
class BindCardSuccess:
    card: Card = strawberry.field(description="The card.")


BindCardPayload = Annotated[
    BindCardSuccess | InvalidCardNumber | LimitReached,
    strawberry.union("BindCardPayload", description="What `bindCard` answers."),
]
CreateRechargePayload = Annotated[
    CreateRechargeSuccess | InvalidAmount | LimitReached | NotFound | IdempotencyError | OfferError,
    strawberry.union("CreateRechargePayload", description="What `createRecharge` answers."),
]
PayRechargePayload = Annotated[
    PayRechargeSuccess
    | NotFound
    | IdempotencyError
    | OrderStateError
    | ChannelError
    | InsufficientBalance
    | FaceCheckError,
    strawberry.union("PayRechargePayload", description="What `payRecharge` answers."),
]
CancelRechargePayload = Annotated[
    CancelRechargeSuccess | NotFound | OrderStateError | ChannelError,
    strawberry.union("CancelRechargePayload", description="What `cancelRecharge` answers."),
]
StartFaceCheckPayload = Annotated[
    StartFaceCheckSuccess | NotFound | OrderStateError | FaceCheckError,
    strawberry.union("StartFaceCheckPayload", description="What `startFaceCheck` answers."),
]
SyncDraftOrdersPayload = Annotated[
    SyncDraftOrdersSuccess | LimitReached,
    strawberry.union("SyncDraftOrdersPayload", description="What `syncDraftOrders` answers."),
]
TopUpWalletPayload = Annotated[
    TopUpWalletSuccess | InvalidAmount | IdempotencyError | ChannelError,
    strawberry.union("TopUpWalletPayload", description="What `topUpWallet` answers."),
]
ReviewOrderPayload = Annotated[
    ReviewOrderSuccess | NotFound | Forbidden | DecisionError,
    strawberry.union("ReviewOrderPayload", description="What `reviewOrder` answers."),
]
ProposeReversalPayload = Annotated[
    CaseSuccess | NotFound | Forbidden | OrderStateError | DecisionError,
    strawberry.union("ProposeReversalPayload", description="What `proposeReversal` answers."),
]
CasePayload = Annotated[
    CaseSuccess | NotFound | Forbidden | DecisionError | InsufficientBalance,
    strawberry.union("CasePayload", description="What `proposeOutcome` and `approveCase` answer."),
]
AckNoticePayload = Annotated[
    AckNoticeSuccess | CursorError | DeviceError | LimitReached,
    strawberry.union("AckNoticePayload", description="What `ackNotice` answers."),
]
RegisterWebhookPayload = Annotated[
    WebhookSecretSuccess | Forbidden | InvalidWebhookUrl | InvalidWebhookDocument | CursorError | LimitReached,
    strawberry.union("RegisterWebhookPayload", description="What `registerWebhook` answers."),
]
UpdateWebhookPayload = Annotated[
    WebhookSuccess | Forbidden | NotFound | InvalidWebhookUrl,
    strawberry.union("UpdateWebhookPayload", description="What `updateWebhook` answers."),
]
PauseWebhookPayload = Annotated[
    WebhookSuccess | Forbidden | NotFound,
    strawberry.union("PauseWebhookPayload", description="What `pauseWebhook` answers."),
]
ResumeWebhookPayload = Annotated[
    WebhookSuccess | Forbidden | NotFound | CursorError | InvalidWebhookDocument,
    strawberry.union("ResumeWebhookPayload", description="What `resumeWebhook` answers."),
]
RotateWebhookSecretPayload = Annotated[
    WebhookSecretSuccess | Forbidden | NotFound,
    strawberry.union("RotateWebhookSecretPayload", description="What `rotateWebhookSecret` answers."),
]
DeleteWebhookPayload = Annotated[
    DeleteWebhookSuccess | Forbidden | NotFound,
    strawberry.union("DeleteWebhookPayload", description="What `deleteWebhook` answers."),
]
SendTestWebhookPayload = Annotated[
    SendTestWebhookSuccess | Forbidden | NotFound,
    strawberry.union("SendTestWebhookPayload", description="What `sendTestWebhook` answers."),
]
BindPhonePayload = Annotated[
    BindPhoneSuccess | PhoneError | NotOffered,
    strawberry.union("BindPhonePayload", description="What `bindPhone` and `confirmPhone` answer."),
]
MessageConsentPayload = Annotated[
    MessageConsentSuccess | MessageTemplateError | IdempotencyError | LimitReached | NotOffered,
    strawberry.union(
        "MessageConsentPayload", description="What `grantMessageConsent` and `withdrawMessageConsent` answer."
    ),
]
RequestSmsCodePayload = Annotated[
    RequestSmsCodeSuccess | PhoneError | NotOffered,
    strawberry.union("RequestSmsCodePayload", description="What `requestSmsCode` answers."),
]
