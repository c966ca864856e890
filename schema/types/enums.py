"""The enums of the schema; their values are the house's own words.

Types import them from here, since an enum that is used before it is described would get a second definition.
"""

from __future__ import annotations

from enum import StrEnum

from domain.stations.queries import StationSort
from domain.voice.intents import Intent as VoiceIntent
from domain.webhooks.ports import DeliveryError, DocumentReason
from domain.webhooks.urls import UrlReason
from kernel.states import (
    CardBrand,
    CardCondition,
    CaseKind,
    CaseOutcome,
    CaseState,
    FailureKind,
    MessageTemplate,
    OrderState,
    PaymentMethod,
    PaymentState,
    Product,
    RefundState,
    ReviewReason,
    ReviewState,
    StationBrand,
    SuspensionReason,
    Switch,
    WebhookState,
)
from schema.types.describing import described

__all__ = [
    "ActorKind",
    "CardBrand",
    "CardCondition",
    "CaseKind",
    "CaseOutcome",
    "CaseState",
    "DeliveryError",
    "DocumentReason",
    "FailureKind",
    "MessageTemplate",
    "OrderState",
    "PaymentMethod",
    "PaymentState",
    "Product",
    "RefundState",
    "ReviewDecision",
    "ReviewReason",
    "ReviewState",
    "SpokenLocale",
    "StationBrand",
    "StationSort",
    "SuspensionReason",
    "Switch",
    "UrlReason",
    "VoiceIntent",
    "WebhookState",
]


class ActorKind(StrEnum):
    """Who took a step of an order, without saying who exactly."""

    USER = "USER"
    STAFF = "STAFF"
    THIRD_PARTY = "THIRD_PARTY"
    SYSTEM = "SYSTEM"


class ReviewDecision(StrEnum):
    APPROVE = "APPROVE"
    REJECT = "REJECT"


class SpokenLocale(StrEnum):
    """The languages that the service speaks, as GraphQL can name them."""

    ZH_CN = "zh-CN"
    EN = "en"


described(
    OrderState,
    "OrderState",
    "Where a recharge order stands.",
    {
        "PENDING_PAYMENT": "待支付: created, not yet being paid.",
        "PAYING": "支付中: a payment was started and is not settled.",
        "RECHARGING": "充值中: paid, on its way to the card.",
        "SUCCEEDED": "成功: the money is on the card.",
        "FAILED": "失败: there will be no recharge; `failureKind` says why, `refundState` where the money is.",
    },
)
described(
    CardCondition,
    "CardCondition",
    "What a card issuer says of a card.",
    {
        "USABLE": "It can be recharged.",
        "BLOCKED": "It is lost, frozen or expired.",
        "UNKNOWN_CARD": "The issuer does not know the number.",
    },
)
described(
    FailureKind,
    "FailureKind",
    "Why an order failed.",
    {
        "UNPAID": "It was not paid in time.",
        "CANCELLED": "The user cancelled it before paying.",
        "REJECTED": "The review rejected it, or nobody reviewed it in time; the money is refunded.",
        "ISSUER_REFUSED": "The card issuer refused to recharge the card; the money is refunded.",
        "REVERSED": "The card issuer took the recharge back after it had succeeded; the money is refunded.",
    },
)
described(
    RefundState,
    "RefundState",
    "Where the money of a failed order is.",
    {
        "NONE": "Nothing is owed back.",
        "PROCESSING": "The refund is on its way by the route the money came.",
        "SUCCESS": "The money was paid back.",
        "ABNORMAL": "The channel could not pay it back; our staff take care of it.",
    },
)
described(
    ReviewState,
    "ReviewState",
    "Where the review of an order stands that a person must look at before it is recharged.",
    {
        "NONE": "The order needs no review.",
        "REQUIRED": "Paying takes a face verification, and a review follows the payment.",
        "PENDING": "Paid; somebody will look at it.",
        "APPROVED": "Approved.",
        "REJECTED": "Rejected; the money is refunded.",
    },
)
described(
    ReviewReason,
    "ReviewReason",
    "Why an order is reviewed.",
    {
        "LARGE_AMOUNT": "It is over the amount that is recharged without a look.",
        "SPLIT_ORDERS": "Together with other orders of the last while it is over that amount.",
    },
)
described(ReviewDecision, "ReviewDecision", "How a review ends.", {"APPROVE": "Recharge.", "REJECT": "Refund."})
described(
    PaymentMethod,
    "PaymentMethod",
    "How an order is paid.",
    {
        "WECHAT_PAY": "By WeChat Pay; the client goes on with `wx.requestPayment`.",
        "ALIPAY": "By Alipay; the client goes on with `my.tradePay`.",
        "WALLET": "From the viewer's wallet, at once.",
        "MANDATE": "免密支付: by the viewer's mandate, within its caps; the client has nothing to go on with.",
    },
)
described(
    PaymentState,
    "PaymentState",
    "Where a payment stands.",
    {"OPEN": "It can be paid.", "PAID": "It is paid.", "CLOSED": "It was not paid in time."},
)
described(
    ActorKind,
    "ActorKind",
    "Who took a step of an order.",
    {
        "USER": "Whoever ordered it.",
        "STAFF": "Somebody who works here.",
        "THIRD_PARTY": "The payment channel or the card issuer, by a signed word.",
        "SYSTEM": "The service itself, by the clock or by asking a third party.",
    },
)
described(
    CaseKind,
    "CaseKind",
    "Why two people have to decide about an order's money.",
    {
        "REVERSAL": "The card issuer took back a recharge that had succeeded.",
        "CLAW_BACK": "The card was recharged although the order had failed and is refunded.",
    },
)
described(
    CaseState,
    "CaseState",
    "Where a case stands.",
    {"OPEN": "Nobody has proposed anything.", "PROPOSED": "It waits for a second person.", "RESOLVED": "It is over."},
)
described(
    CaseOutcome,
    "CaseOutcome",
    "How a case ends.",
    {
        "REVERSE": "The recharge is reversed and the customer is refunded.",
        "FROM_WALLET": "The customer's wallet pays for the recharge.",
        "WRITE_OFF": "The cost is a loss.",
        "DISMISS": "The recharge stands; nothing moves.",
    },
)
described(
    CardBrand,
    "CardBrand",
    "Who issued a fuel card.",
    {"SINOPEC": "中石化加油卡", "PETROCHINA": "中石油昆仑加油卡"},
)
described(
    StationBrand,
    "StationBrand",
    "Whose sign stands at a station.",
    {
        "SINOPEC": "中国石化",
        "PETROCHINA": "中国石油",
        "CNOOC": "中国海油",
        "SHELL": "壳牌",
        "OTHER": "Another brand, or none.",
    },
)
described(
    Product,
    "Product",
    "A fuel of the official price notices.",
    {
        "GASOLINE_89": "89号汽油",
        "GASOLINE_92": "92号汽油",
        "GASOLINE_95": "95号汽油",
        "GASOLINE_98": "98号汽油",
        "DIESEL_0": "0号柴油",
    },
)
described(
    StationSort,
    "StationSort",
    "In which order stations are listed.",
    {
        "DISTANCE": "The nearest first.",
        "PRICE": "The cheapest first, then the nearest; stations without a price last. Needs `near` and `product`.",
    },
)
described(
    WebhookState,
    "WebhookState",
    "Whether a webhook is delivered.",
    {
        "ACTIVE": "Events are delivered, and tried again where that fails.",
        "PAUSED": "Its owner has paused it.",
        "SUSPENDED": "Deliveries have stopped; `suspensionReason` says why, and `resumeWebhook` begins them again.",
    },
)
described(
    SuspensionReason,
    "SuspensionReason",
    "Why deliveries to a webhook have stopped.",
    {
        "FAILING": "One event could not be delivered for a day.",
        "GONE": "The receiver answered 410 Gone.",
        "OWNER_GONE": "The account of its owner is gone.",
        "REFUSED": "Its owner may not take the subscription any more, or its cursor is not valid any more.",
    },
)
described(
    DeliveryError,
    "WebhookDeliveryError",
    "Why an attempt was no success.",
    {
        "ANSWERED": "The receiver answered with another status than 200 to 299; redirects are not followed.",
        "TIMEOUT": "The receiver did not answer in time.",
        "UNREACHABLE": "No connection could be made.",
        "UNRESOLVABLE": "The name in the URL leads to no address.",
        "ADDRESS_REFUSED": "The name in the URL leads to an address that may not be called.",
        "TLS": "The receiver's certificate is not valid for the name, or no secure connection could be made.",
        "PROTOCOL": "The connection broke off, or the answer was not HTTP.",
        "EXECUTION": "The subscription could not be executed on our side; nothing was sent.",
    },
)
described(
    UrlReason,
    "WebhookUrlReason",
    "What is wrong with a webhook's URL.",
    {
        "MALFORMED": "It is not a URL of plain ASCII; write an international name in its xn-- form.",
        "TOO_LONG": "It has too many characters.",
        "SCHEME": "It is not https.",
        "CREDENTIALS": "It has a user or a password in it.",
        "FRAGMENT": "It has a fragment.",
        "HOST": "Its host is neither a name nor an address in its usual form.",
        "PORT": "Its port may not be called.",
        "ADDRESS": "It leads to an address that is not on the public internet.",
        "UNRESOLVABLE": "Its name leads to no address.",
    },
)
described(
    DocumentReason,
    "WebhookDocumentReason",
    "Why a document cannot feed a webhook.",
    {
        "TOO_LONG": "It has too many characters.",
        "MISSING": "There is neither a document nor the id of one.",
        "NOT_PERSISTED": "It is not a persisted document, or the id is that of another one.",
        "SYNTAX": "It is not GraphQL.",
        "VALIDATION": "It is not valid for this schema.",
        "TOO_COMPLEX": "It is over a limit of documents, or one event of it costs more than the client may spend.",
        "OPERATION": "It is not one subscription operation.",
        "ROOT_FIELD": "It does not select exactly one field.",
        "AFTER_MISSING": "It does not declare `$after: String` and give it to its field as `after`.",
        "AFTER_GIVEN": "The variables hold `after`, which is set at each delivery.",
        "VARIABLES": "The variables do not fit the document, or are too large.",
        "REFUSED": "The viewer may not take this subscription.",
    },
)
described(
    Switch,
    "Switch",
    "What is turned on and off while the service runs.",
    {
        "HIDE_MARKETING": "No marketing is shown.",
        "SIMPLIFIED_PAGES": "Clients show simple pages.",
        "MAINTENANCE": "维护: nothing can be changed by users.",
    },
)
described(
    MessageTemplate,
    "MessageTemplate",
    "What a message outside the service (订阅消息) tells of.",
    {
        "ARRIVAL": "到账: a recharge has arrived on a card.",
        "PRICE_CHANGE": "调价: an official price has changed.",
    },
)
described(
    SpokenLocale,
    "SpokenLocale",
    "A language that the service speaks.",
    {"ZH_CN": "普通话", "EN": "English"},
)
described(
    VoiceIntent,
    "VoiceIntent",
    "What a driver wants.",
    {
        "NEAREST_STATION": "The nearest station.",
        "CHEAPEST_STATION": "The cheapest station around.",
        "PRICE": "What fuel costs here.",
        "BALANCE": "What the wallet holds.",
        "RECHARGE": "Money onto a fuel card; it is proposed, or something about it is asked.",
        "ORDER_STATE": "How the last recharge stands.",
        "CONFIRM": "Yes to what was proposed.",
        "CANCEL": "No to what was proposed.",
        "HELP": "What can be said.",
        "UNKNOWN": "Not understood; the speech asks back.",
    },
)
