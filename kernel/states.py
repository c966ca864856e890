"""The words for states, brands and products that tables, rules and the schema share."""

from __future__ import annotations

from enum import StrEnum


class OrderState(StrEnum):
    PENDING_PAYMENT = "PENDING_PAYMENT"  # 待支付
    PAYING = "PAYING"  # 支付中
    RECHARGING = "RECHARGING"  # 充值中
    SUCCEEDED = "SUCCEEDED"  # 成功
    FAILED = "FAILED"  # 失败


class FailureKind(StrEnum):
    UNPAID = "UNPAID"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"  # by the review, or by its deadline
    ISSUER_REFUSED = "ISSUER_REFUSED"
    REVERSED = "REVERSED"  # the issuer took the recharge back after it had succeeded


class ReviewState(StrEnum):
    """Of an order that a person must look at before it is recharged; REQUIRED until it is paid."""

    NONE = "NONE"
    REQUIRED = "REQUIRED"
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


class ReviewReason(StrEnum):
    LARGE_AMOUNT = "LARGE_AMOUNT"
    SPLIT_ORDERS = "SPLIT_ORDERS"  # several smaller orders that together are large


class RefundState(StrEnum):
    NONE = "NONE"
    PROCESSING = "PROCESSING"
    SUCCESS = "SUCCESS"
    ABNORMAL = "ABNORMAL"


class PaymentState(StrEnum):
    """Of one attempt to pay through one channel."""

    OPEN = "OPEN"
    PAID = "PAID"
    CLOSED = "CLOSED"


class RechargeState(StrEnum):
    """Of one attempt to recharge through one issuer; SUBMITTED covers accepted and unknown alike.

    NOT_ACCEPTED is one that its issuer did not take, so that another one was looked for; SURPLUS is such a one that
    was recharged after all, beside whatever became of the order.
    """

    SUBMITTED = "SUBMITTED"
    SUCCEEDED = "SUCCEEDED"
    REFUSED = "REFUSED"
    REVERSED = "REVERSED"
    NOT_ACCEPTED = "NOT_ACCEPTED"
    SURPLUS = "SURPLUS"


class PaymentMethod(StrEnum):
    """How a user pays an order."""

    WECHAT_PAY = "WECHAT_PAY"
    ALIPAY = "ALIPAY"
    WALLET = "WALLET"
    MANDATE = "MANDATE"


class MandateState(StrEnum):
    """Of a mandate to deduct without a password. From the last three nothing leads back."""

    PENDING = "PENDING"  # 待签约
    ACTIVE = "ACTIVE"
    REVOKED = "REVOKED"  # by the user, here
    ENDED = "ENDED"  # by the user at the channel, or by its time
    REFUSED = "REFUSED"  # not signed in time, or a newer one took its place


class HealthMark(StrEnum):
    """How a line to a payment channel has done lately. Only what is DOWN gives way to others."""

    HEALTHY = "HEALTHY"
    SUSPECT = "SUSPECT"
    DOWN = "DOWN"


class ReservationState(StrEnum):
    """Of one piece of an offer's stock."""

    RESERVED = "RESERVED"
    USED = "USED"
    RELEASED = "RELEASED"


class FaceCheckState(StrEnum):
    OPEN = "OPEN"
    PASSED = "PASSED"
    FAILED = "FAILED"
    USED = "USED"


class ErrorKind(StrEnum):
    """What went wrong with an order's money; each is a row of the error ledger."""

    LATE_PAYMENT = "LATE_PAYMENT"
    SURPLUS_PAYMENT = "SURPLUS_PAYMENT"
    RECHARGE_REFUSED = "RECHARGE_REFUSED"
    RECHARGED_AFTER_FAILURE = "RECHARGED_AFTER_FAILURE"
    SURPLUS_RECHARGE = "SURPLUS_RECHARGE"
    REFUND_ABNORMAL = "REFUND_ABNORMAL"
    RECHARGE_REVERSED = "RECHARGE_REVERSED"
    LATE_TOP_UP = "LATE_TOP_UP"


class CaseKind(StrEnum):
    """Why two people have to decide about an order's money."""

    REVERSAL = "REVERSAL"
    CLAW_BACK = "CLAW_BACK"


class CaseState(StrEnum):
    OPEN = "OPEN"
    PROPOSED = "PROPOSED"
    RESOLVED = "RESOLVED"


class CaseOutcome(StrEnum):
    """How a case ends: a recharge is reversed or stands, or what it cost is taken from the wallet or written off."""

    REVERSE = "REVERSE"
    FROM_WALLET = "FROM_WALLET"
    WRITE_OFF = "WRITE_OFF"
    DISMISS = "DISMISS"


class StaffRole(StrEnum):
    SUPPORT = "SUPPORT"
    RISK = "RISK"
    FINANCE = "FINANCE"
    FINANCE_DIRECTOR = "FINANCE_DIRECTOR"
    AUDITOR = "AUDITOR"
    ADMIN = "ADMIN"
    OPERATIONS = "OPERATIONS"


class Switch(StrEnum):
    """What is turned on and off while the service runs."""

    HIDE_MARKETING = "HIDE_MARKETING"
    SIMPLIFIED_PAGES = "SIMPLIFIED_PAGES"
    MAINTENANCE = "MAINTENANCE"  # 维护


class InterventionAction(StrEnum):
    """What a person does with work that no retry could settle."""

    RETRY = "RETRY"
    DISMISS = "DISMISS"


class WebhookState(StrEnum):
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"  # by its owner
    SUSPENDED = "SUSPENDED"  # by us; the reason says why


class SuspensionReason(StrEnum):
    """Why deliveries to a webhook have stopped until its owner resumes it."""

    FAILING = "FAILING"  # one event could not be delivered for a day
    GONE = "GONE"  # the receiver answered 410
    OWNER_GONE = "OWNER_GONE"
    REFUSED = "REFUSED"  # the subscription itself is refused by now


class CardBrand(StrEnum):
    SINOPEC = "SINOPEC"  # 中石化
    PETROCHINA = "PETROCHINA"  # 中石油


class CardCondition(StrEnum):
    """What a card issuer says of a card."""

    USABLE = "USABLE"
    BLOCKED = "BLOCKED"  # lost, frozen or expired
    UNKNOWN_CARD = "UNKNOWN_CARD"


class StationBrand(StrEnum):
    SINOPEC = "SINOPEC"
    PETROCHINA = "PETROCHINA"
    CNOOC = "CNOOC"  # 中国海油
    SHELL = "SHELL"  # 壳牌
    OTHER = "OTHER"


class Product(StrEnum):
    """The product codes of the official price notices: petrol by octane number, diesel 0."""

    GASOLINE_89 = "89"
    GASOLINE_92 = "92"
    GASOLINE_95 = "95"
    GASOLINE_98 = "98"
    DIESEL_0 = "0"


class MessageTemplate(StrEnum):
    """What a subscribe message (订阅消息) of the mini-program platform tells of."""

    ARRIVAL = "ARRIVAL"  # 到账
    PRICE_CHANGE = "PRICE_CHANGE"  # 调价


class MessageState(StrEnum):
    """Of one outgoing message. From SENDING nothing leads back to the platform, so no message is sent twice."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    SENT = "SENT"
    REFUSED = "REFUSED"  # the user does not accept it (43101); the consent is gone
    FAILED = "FAILED"  # the platform turned it down for another reason; the consent was given back
    UNKNOWN = "UNKNOWN"  # no answer; it may have been delivered
    WITHDRAWN = "WITHDRAWN"  # the user took the consent back before it was sent


class ConsentEnd(StrEnum):
    """Why a consent is not there any more."""

    SPENT = "SPENT"
    WITHDRAWN = "WITHDRAWN"


class HeldPriceState(StrEnum):
    HELD = "HELD"
    RELEASED = "RELEASED"
    REFUSED = "REFUSED"
    SUPERSEDED = "SUPERSEDED"  # a newer document says something else of the same price


class CodePurpose(StrEnum):
    """What a code that was sent by SMS is good for."""

    BIND_PHONE = "BIND_PHONE"
    STEP_UP = "STEP_UP"
    SIGN_IN = "SIGN_IN"


class BillEntryKind(StrEnum):
    """What one line of a bill, or the row of ours that it should meet, is about."""

    PAYMENT = "PAYMENT"
    REFUND = "REFUND"
    RECHARGE = "RECHARGE"
    REVERSAL = "REVERSAL"
    TRANSFER = "TRANSFER"


class ReconciliationState(StrEnum):
    RUNNING = "RUNNING"
    DONE = "DONE"
    REFUSED = "REFUSED"  # the bill could not be used
    STOPPED = "STOPPED"  # whoever ran it died, and another run has begun since


class DifferenceClass(StrEnum):
    """How a bill and our books differ about one key; what agrees has no class and no row."""

    AMOUNT_DIFF = "AMOUNT_DIFF"
    STATUS_DIFF = "STATUS_DIFF"
    LONG = "LONG"  # 长款: the bill has it, we do not
    SHORT = "SHORT"  # 短款: we have it, the bill does not
    DUPLICATE = "DUPLICATE"
    OVERTAKEN = "OVERTAKEN"  # the sides agree since two people have decided, so the decision is to be taken back


class DifferenceState(StrEnum):
    WAITING = "WAITING"  # the bill of the next day may have it
    OPEN = "OPEN"
    PROPOSED = "PROPOSED"
    RESOLVED = "RESOLVED"
    SELF_RESOLVED = "SELF_RESOLVED"
    OVERTAKEN = "OVERTAKEN"


class DifferenceOutcome(StrEnum):
    """Where two people move what stands in suspense."""

    REFUND = "REFUND"
    TRANSIT = "TRANSIT"
    WRITE_OFF = "WRITE_OFF"


class DifferenceStep(StrEnum):
    """What can happen to a difference; each is a line of its story."""

    FOUND = "FOUND"
    GRACE_OVER = "GRACE_OVER"
    FOUND_AGAIN = "FOUND_AGAIN"
    SUSPENDED = "SUSPENDED"
    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    SELF_RESOLVED = "SELF_RESOLVED"
    OVERTAKEN = "OVERTAKEN"


class ClientKind(StrEnum):
    """Which program asks for tokens; the kind says by which grants it may."""

    MINI_PROGRAM = "MINI_PROGRAM"
    CAR = "CAR"
    PARTNER = "PARTNER"
    STAFF = "STAFF"


class SessionEnd(StrEnum):
    """Why a session is over before its time."""

    SIGNED_OUT = "SIGNED_OUT"  # by its own device
    ENDED_BY_OWNER = "ENDED_BY_OWNER"  # from the list of sessions
    REFRESH_TOKEN_REUSED = "REFRESH_TOKEN_REUSED"
    CODE_REUSED = "CODE_REUSED"
    TOO_MANY = "TOO_MANY"
    OWNER_GONE = "OWNER_GONE"
    CLIENT_DISABLED = "CLIENT_DISABLED"


class DeviceCodeState(StrEnum):
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    DENIED = "DENIED"
    CLAIMED = "CLAIMED"  # its token was given out
