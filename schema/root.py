"""The schema's table of contents. Each line names the function that answers it."""

from __future__ import annotations

import strawberry
from strawberry.schema.config import StrawberryConfig

from resolvers import (
    cards,
    cases,
    messages,
    nodes,
    notices,
    offers,
    orders,
    places,
    prices,
    stations,
    viewer,
    wallet,
    webhooks,
)
from schema.extensions.documents import Schema
from schema.types.alerts import AlertStreamEvent
from schema.types.cases import CaseConnection, OrderReviewConnection
from schema.types.delivery import LATEST_FOR_EVERYONE, LOSSLESS_FOR_VIEWER
from schema.types.errors import PriceChangedError
from schema.types.notices import ArrivalStreamEvent, NoticeConnection
from schema.types.offers import OfferConnection
from schema.types.order_events import OrderStreamEvent
from schema.types.orders import Order
from schema.types.payloads import (
    AckNoticePayload,
    BindCardPayload,
    BindPhonePayload,
    CancelRechargePayload,
    CasePayload,
    CreateRechargePayload,
    DeleteWebhookPayload,
    MessageConsentPayload,
    PauseWebhookPayload,
    PayRechargePayload,
    ProposeReversalPayload,
    RegisterWebhookPayload,
    RequestSmsCodePayload,
    ResumeWebhookPayload,
    ReviewOrderPayload,
    RotateWebhookSecretPayload,
    SendTestWebhookPayload,
    StartFaceCheckPayload,
    SyncDraftOrdersPayload,
    TopUpWalletPayload,
    UpdateWebhookPayload,
)
from schema.types.places import Place
from schema.types.price_events import PriceStreamEvent
from schema.types.prices import PriceConnection
from schema.types.relay import Node
from schema.types.scalars import SCALARS
from schema.types.stations import Station, StationConnection
from schema.types.viewer import Viewer
from schema.types.webhooks import WebhookConnection
from subscriptions import streams


@strawberry.type(description="What can be asked.")
class Query:
    viewer: Viewer | None = strawberry.field(
        resolver=viewer.viewer, description="The signed-in user; null where nobody is signed in."
    )
    station: Station | None = strawberry.field(
        resolver=stations.station, description="One filling station; null where there is none with this id."
    )
    stations: StationConnection = strawberry.field(
        resolver=stations.stations, description="Filling stations, nearest first or cheapest first."
    )
    prices: PriceConnection = strawberry.field(
        resolver=prices.prices, description="The official retail prices that are in force now."
    )
    search_places: list[Place] | None = strawberry.field(
        resolver=places.search_places,
        description="Places that fit a text, nearest first, as the map service knows them; null where it is not there.",
    )
    place_at: Place | None = strawberry.field(
        resolver=places.place_at, description="The address of a place; null where the map service is not there."
    )
    offers: OfferConnection = strawberry.field(
        resolver=offers.offers, description="The offers that can be taken now, newest first."
    )
    order: Order | None = strawberry.field(
        resolver=orders.order,
        description="One order of the viewer, or any order for staff; null where there is none with this id.",
    )
    notices: NoticeConnection = strawberry.field(
        resolver=notices.notices,
        description="到账通知 without a subscription: the viewer's arrivals, oldest first, with the same cursors.",
    )
    reviews: OrderReviewConnection = strawberry.field(
        resolver=cases.reviews, description="Paid orders that wait for a review, oldest first. For staff."
    )
    cases: CaseConnection = strawberry.field(
        resolver=cases.cases, description="Cases that are not resolved, oldest first. For staff."
    )
    webhooks: WebhookConnection = strawberry.field(
        resolver=webhooks.webhooks,
        description="The viewer's webhooks, newest first. For tokens with the scope `webhooks`.",
    )
    node: Node | None = strawberry.field(
        resolver=nodes.node, description="Any object by its id; null where there is none that the viewer may see."
    )


@strawberry.type(description="What can be done.")
class Mutation:
    bind_card: BindCardPayload = strawberry.field(
        resolver=cards.bind_card, description="Bind a fuel card to the viewer. Binding it again returns it."
    )
    create_recharge: CreateRechargePayload = strawberry.field(
        resolver=orders.create_recharge, description="Order a recharge. It is paid in a second step."
    )
    pay_recharge: PayRechargePayload = strawberry.field(
        resolver=orders.pay_recharge, description="Start to pay an order, or continue where it was started."
    )
    cancel_recharge: CancelRechargePayload = strawberry.field(
        resolver=orders.cancel_recharge, description="Cancel an order that is not paid."
    )
    start_face_check: StartFaceCheckPayload = strawberry.field(
        resolver=orders.start_face_check, description="Begin the face verification that a large order takes."
    )
    sync_draft_orders: SyncDraftOrdersPayload = strawberry.field(
        resolver=orders.sync_draft_orders,
        description="Make orders of drafts that were written down without a connection. The prices are checked again.",
    )
    top_up_wallet: TopUpWalletPayload = strawberry.field(
        resolver=wallet.top_up_wallet, description="Pay money into the viewer's wallet."
    )
    ack_notice: AckNoticePayload = strawberry.field(
        resolver=notices.ack_notice,
        description="Keep how far a device has read the viewer's arrivals, for devices that cannot keep a cursor.",
    )
    bind_phone: BindPhonePayload = strawberry.field(
        resolver=messages.bind_phone, description="Bind the phone number that the user has shared in the mini-program."
    )
    request_sms_code: RequestSmsCodePayload = strawberry.field(
        resolver=messages.request_sms_code, description="Have a code sent to a phone that the viewer wants to bind."
    )
    confirm_phone: BindPhonePayload = strawberry.field(
        resolver=messages.confirm_phone, description="Bind the phone that a code was sent to."
    )
    grant_message_consent: MessageConsentPayload = strawberry.field(
        resolver=messages.grant_message_consent,
        description="Keep what the user has accepted: one message (订阅消息) of each template.",
    )
    withdraw_message_consent: MessageConsentPayload = strawberry.field(
        resolver=messages.withdraw_message_consent, description="Send no more messages of these templates."
    )
    review_order: ReviewOrderPayload = strawberry.field(
        resolver=cases.review_order, description="Decide on a paid order that waits for a review. For risk staff."
    )
    propose_reversal: ProposeReversalPayload = strawberry.field(
        resolver=cases.propose_reversal,
        description="Propose to take back a recharge that had succeeded; a second person approves. For finance staff.",
    )
    propose_outcome: CasePayload = strawberry.field(
        resolver=cases.propose_outcome,
        description="Propose how a case ends; a second person approves. For finance staff.",
    )
    approve_case: CasePayload = strawberry.field(
        resolver=cases.approve_case, description="Let happen what somebody else has proposed. For finance staff."
    )
    register_webhook: RegisterWebhookPayload = strawberry.field(
        resolver=webhooks.register_webhook,
        description="Have the events of a subscription sent to a URL. For tokens with the scope `webhooks`.",
    )
    update_webhook: UpdateWebhookPayload = strawberry.field(
        resolver=webhooks.update_webhook, description="Send a webhook's events to another URL."
    )
    pause_webhook: PauseWebhookPayload = strawberry.field(
        resolver=webhooks.pause_webhook, description="Deliver nothing until the webhook is resumed."
    )
    resume_webhook: ResumeWebhookPayload = strawberry.field(
        resolver=webhooks.resume_webhook,
        description="Deliver again, where the webhook stands or behind another cursor: replay, or pass an event by.",
    )
    rotate_webhook_secret: RotateWebhookSecretPayload = strawberry.field(
        resolver=webhooks.rotate_webhook_secret,
        description="Make a new secret; the one before it signs as well for a day.",
    )
    delete_webhook: DeleteWebhookPayload = strawberry.field(
        resolver=webhooks.delete_webhook, description="Forget a webhook."
    )
    send_test_webhook: SendTestWebhookPayload = strawberry.field(
        resolver=webhooks.send_test_webhook,
        description="Send one signed message of the type `webhook.test`, and wait for what becomes of it.",
    )


@strawberry.type(description="What can be listened to.")
class Subscription:
    arrivals: ArrivalStreamEvent = strawberry.subscription(
        resolver=streams.arrivals,
        directives=[LOSSLESS_FOR_VIEWER],
        description="到账通知: a notice the moment that money has arrived on a card.",
    )
    price_changes: PriceStreamEvent = strawberry.subscription(
        resolver=streams.price_changes,
        directives=[LATEST_FOR_EVERYONE],
        description="Every change of an official price, the moment it is in force.",
    )
    order_updated: OrderStreamEvent = strawberry.subscription(
        resolver=streams.order_updated,
        directives=[LOSSLESS_FOR_VIEWER],
        description="The order as it is now, and again at every change.",
    )
    alerts: AlertStreamEvent = strawberry.subscription(
        resolver=streams.alerts,
        directives=[LOSSLESS_FOR_VIEWER],
        description="Whatever begins to wait for staff: reviews, cases and parked work. For staff.",
    )


def build() -> Schema:
    """Return the executable schema."""
    return Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        # No field is of this type; a draft's error, which is any `UserError`, may be one.
        types=[PriceChangedError],
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=False),
    )
