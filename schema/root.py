"""The schema's table of contents. Each line names the function that answers it.

Staff's lines are in `staff_root`, those of enterprise customers in `organisation_root`.
"""

from __future__ import annotations

import strawberry
from strawberry.schema.config import StrawberryConfig

from resolvers import (
    access,
    account,
    cards,
    mandates,
    messages,
    nodes,
    notices,
    offers,
    orders,
    places,
    prices,
    rates,
    stations,
    step_up,
    switches,
    viewer,
    voice,
    wallet,
    webhooks,
)
from schema.extensions.costs import PAGE_SIZE_MAX
from schema.extensions.documents import CACHE_SIZE_MAX_BYTES, Schema
from schema.extensions.limits import Limits
from schema.organisation_root import OrganisationMutation, OrganisationQuery
from schema.staff_root import StaffMutation, StaffQuery, StaffSubscription
from schema.types import budgets, caching, costs
from schema.types import requirements as allowed
from schema.types.access import DeviceRequest
from schema.types.availability import AVAILABLE_IN_MAINTENANCE
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
    CheckCardPayload,
    ConfirmStepUpPayload,
    CreateMandatePayload,
    CreateRechargePayload,
    DeleteWebhookPayload,
    DevicePayload,
    EndAllSessionsPayload,
    EndSessionPayload,
    LowerMandateCapsPayload,
    MessageConsentPayload,
    PauseWebhookPayload,
    PaymentPasswordPayload,
    PayRechargePayload,
    RegisterWebhookPayload,
    RequestSmsCodePayload,
    ResumeWebhookPayload,
    RevokeMandatePayload,
    RotateClientKeyPayload,
    RotateWebhookSecretPayload,
    SendTestWebhookPayload,
    SetSpendingLimitsPayload,
    StartFaceCheckPayload,
    StartStepUpPayload,
    SyncDraftOrdersPayload,
    TopUpWalletPayload,
    UnbindCardPayload,
    UpdateWebhookPayload,
    VoiceTurnPayload,
)
from schema.types.places import Place
from schema.types.price_events import PriceStreamEvent
from schema.types.prices import PriceConnection
from schema.types.rates import RateLimit
from schema.types.relay import Node
from schema.types.scalars import SCALARS
from schema.types.stations import Station, StationConnection
from schema.types.status import ServiceStatus
from schema.types.viewer import Viewer
from schema.types.webhooks import WebhookConnection
from subscriptions import streams


@strawberry.type(description="What can be asked.")
class Query(StaffQuery, OrganisationQuery):
    viewer: Viewer | None = strawberry.field(
        resolver=viewer.viewer,
        directives=[allowed.PUBLIC, costs.READ, caching.FOR_THE_VIEWER],
        description="The signed-in user; null where nobody is signed in.",
    )
    station: Station | None = strawberry.field(
        resolver=stations.station,
        directives=[allowed.PUBLIC, costs.READ, caching.FOR_EVERYBODY],
        description="One filling station; null where there is none with this id.",
    )
    stations: StationConnection = strawberry.field(
        resolver=stations.stations,
        directives=[allowed.PUBLIC, costs.SEARCH, costs.PAGE, caching.FOR_EVERYBODY],
        description="Filling stations, nearest first or cheapest first.",
    )
    prices: PriceConnection = strawberry.field(
        resolver=prices.prices,
        directives=[allowed.PUBLIC, costs.READS, costs.PAGE, caching.FOR_EVERYBODY],
        description="The official retail prices that are in force now.",
    )
    search_places: list[Place] | None = strawberry.field(
        resolver=places.search_places,
        directives=[allowed.PUBLIC, costs.THIRD_PARTY, costs.SLICED],
        description="Places that fit a text, nearest first, as the map service knows them; null where it is not there.",
    )
    place_at: Place | None = strawberry.field(
        resolver=places.place_at,
        directives=[allowed.PUBLIC, costs.THIRD_PARTY],
        description="The address of a place; null where the map service is not there.",
    )
    offers: OfferConnection = strawberry.field(
        resolver=offers.offers,
        directives=[allowed.PUBLIC, costs.READS, costs.PAGE],
        description="The offers that can be taken now, newest first.",
    )
    order: Order | None = strawberry.field(
        resolver=orders.order,
        directives=[allowed.SEES_ORDERS, costs.READ],
        description="One order of the viewer, or any order for staff; null where there is none with this id.",
    )
    notices: NoticeConnection = strawberry.field(
        resolver=notices.notices,
        directives=[allowed.FOLLOWS_RECHARGES, costs.READS, costs.PAGE],
        description="到账通知 without a subscription: the viewer's arrivals, oldest first, with the same cursors.",
    )
    webhooks: WebhookConnection = strawberry.field(
        resolver=webhooks.webhooks,
        directives=[allowed.WEBHOOKS, costs.READS, costs.PAGE],
        description="The viewer's webhooks, newest first. For tokens with the scope `webhooks`.",
    )
    device: DeviceRequest | None = strawberry.field(
        resolver=access.device,
        directives=[allowed.RECHARGE, costs.READ],
        description="The device that waits with a code, for its user to decide about.",
    )
    service_status: ServiceStatus = strawberry.field(
        resolver=switches.service_status,
        directives=[allowed.PUBLIC],
        description="How the service is: what a client obeys, and what is degraded.",
    )
    rate_limit: RateLimit = strawberry.field(
        resolver=rates.rate_limit,
        directives=[allowed.PUBLIC, costs.READS],
        description="What the client may still ask, and what a document would cost.",
    )
    node: Node | None = strawberry.field(
        resolver=nodes.node,
        directives=[allowed.PUBLIC, costs.READ],
        description="Any object by its id; null where there is none that the viewer may see.",
    )
    nodes: list[Node | None] = strawberry.field(
        resolver=nodes.nodes, directives=[allowed.PUBLIC, *costs.NODES], description="As `node`, of each id in turn."
    )


@strawberry.type(description="What can be done.")
class Mutation(StaffMutation, OrganisationMutation):
    bind_card: BindCardPayload = strawberry.field(
        resolver=cards.bind_card,
        directives=[allowed.CARDS, costs.WRITE],
        description="Bind a fuel card to the viewer. Binding it again returns it.",
    )
    unbind_card: UnbindCardPayload = strawberry.field(
        resolver=account.unbind_card,
        directives=[allowed.CARDS, costs.WRITE],
        description="Unbind a card, with a step-up. Its orders stay.",
    )
    check_card: CheckCardPayload = strawberry.field(
        resolver=cards.check_card,
        directives=[allowed.CARDS, budgets.CONTACT, costs.THIRD_PARTY],
        description="Ask the issuer of a card whether it can be recharged; once in 30 seconds for each card.",
    )
    create_recharge: CreateRechargePayload = strawberry.field(
        resolver=orders.create_recharge,
        directives=[allowed.RECHARGE, budgets.MONEY, costs.WRITE],
        description="Order a recharge. It is paid in a second step.",
    )
    pay_recharge: PayRechargePayload = strawberry.field(
        resolver=orders.pay_recharge,
        directives=[allowed.RECHARGE, budgets.MONEY, costs.THIRD_PARTY],
        description="Start to pay an order, or continue where it was started.",
    )
    cancel_recharge: CancelRechargePayload = strawberry.field(
        resolver=orders.cancel_recharge,
        directives=[allowed.RECHARGE, costs.THIRD_PARTY],
        description="Cancel an order that is not paid.",
    )
    start_face_check: StartFaceCheckPayload = strawberry.field(
        resolver=orders.start_face_check,
        directives=[allowed.RECHARGE, budgets.CONTACT, costs.THIRD_PARTY],
        description="Begin the face verification that a large order takes.",
    )
    sync_draft_orders: SyncDraftOrdersPayload = strawberry.field(
        resolver=orders.sync_draft_orders,
        directives=[allowed.RECHARGE, budgets.MONEY, costs.WRITE],
        description="Make orders of drafts that were written down without a connection. The prices are checked again.",
    )
    top_up_wallet: TopUpWalletPayload = strawberry.field(
        resolver=wallet.top_up_wallet,
        directives=[allowed.RECHARGE, budgets.MONEY, costs.THIRD_PARTY],
        description="Pay money into the viewer's wallet.",
    )
    start_step_up: StartStepUpPayload = strawberry.field(
        resolver=step_up.start_step_up,
        directives=[allowed.STEPS_UP, budgets.CONTACT, costs.SMS],
        description="Begin the second proof that a sensitive action takes: a code by SMS and a face.",
    )
    confirm_step_up: ConfirmStepUpPayload = strawberry.field(
        resolver=step_up.confirm_step_up,
        directives=[allowed.STEPS_UP, budgets.CONTACT, costs.THIRD_PARTY],
        description="Give both proofs, for a grant that the action takes once.",
    )
    set_payment_password: PaymentPasswordPayload = strawberry.field(
        resolver=account.set_payment_password,
        directives=[allowed.RECHARGE, costs.WRITE],
        description="Set the first payment password (支付密码), with a step-up.",
    )
    change_payment_password: PaymentPasswordPayload = strawberry.field(
        resolver=account.change_payment_password,
        directives=[allowed.RECHARGE, costs.WRITE],
        description="Change the payment password, with the one before it and a step-up.",
    )
    reset_payment_password: PaymentPasswordPayload = strawberry.field(
        resolver=account.reset_payment_password,
        directives=[allowed.RECHARGE, costs.WRITE],
        description="Replace a payment password that was forgotten, with a step-up.",
    )
    set_spending_limits: SetSpendingLimitsPayload = strawberry.field(
        resolver=account.set_spending_limits,
        directives=[allowed.RECHARGE, costs.WRITE],
        description="Set limits of one's own. Lowering them is free; raising them takes a step-up.",
    )
    create_mandate: CreateMandatePayload = strawberry.field(
        resolver=mandates.create_mandate,
        directives=[allowed.ORDERS, budgets.MONEY, costs.THIRD_PARTY],
        description="Begin a mandate to pay without a password, with a step-up; the user signs it at WeChat.",
    )
    lower_mandate_caps: LowerMandateCapsPayload = strawberry.field(
        resolver=mandates.lower_mandate_caps,
        directives=[allowed.ORDERS, costs.WRITE],
        description="Lower the caps of a mandate. Higher ones take a new mandate, and so a new signature.",
    )
    revoke_mandate: RevokeMandatePayload = strawberry.field(
        resolver=mandates.revoke_mandate,
        directives=[allowed.ORDERS, AVAILABLE_IN_MAINTENANCE, costs.THIRD_PARTY],
        description="End a mandate at once, from any device of the viewer.",
    )
    ack_notice: AckNoticePayload = strawberry.field(
        resolver=notices.ack_notice,
        directives=[allowed.FOLLOWS_RECHARGES, costs.WRITE],
        description="Keep how far a device has read the viewer's arrivals, for devices that cannot keep a cursor.",
    )
    bind_phone: BindPhonePayload = strawberry.field(
        resolver=messages.bind_phone,
        directives=[allowed.PROFILE, budgets.CONTACT, costs.THIRD_PARTY],
        description="Bind the phone number that the user has shared; another one than before takes a step-up.",
    )
    request_sms_code: RequestSmsCodePayload = strawberry.field(
        resolver=messages.request_sms_code,
        directives=[allowed.PROFILE, budgets.CONTACT, costs.SMS],
        description="Have a code sent to a phone that the viewer wants to bind.",
    )
    confirm_phone: BindPhonePayload = strawberry.field(
        resolver=messages.confirm_phone,
        directives=[allowed.PROFILE, budgets.CONTACT, costs.WRITE],
        description="Bind the phone that a code was sent to; another one than before takes a step-up.",
    )
    approve_device: DevicePayload = strawberry.field(
        resolver=access.approve_device,
        directives=[allowed.RECHARGE, AVAILABLE_IN_MAINTENANCE, costs.WRITE],
        description="Let a car act for the viewer, bound to its vehicle.",
    )
    deny_device: DevicePayload = strawberry.field(
        resolver=access.deny_device,
        directives=[allowed.RECHARGE, AVAILABLE_IN_MAINTENANCE, costs.WRITE],
        description="Turn a car away that waits for an approval.",
    )
    end_session: EndSessionPayload = strawberry.field(
        resolver=access.end_session,
        directives=[allowed.DEVICES, AVAILABLE_IN_MAINTENANCE, costs.WRITE],
        description="Sign the viewer out on one device.",
    )
    end_all_sessions: EndAllSessionsPayload = strawberry.field(
        resolver=access.end_all_sessions,
        directives=[allowed.DEVICES, AVAILABLE_IN_MAINTENANCE, costs.WRITE],
        description="Sign the viewer out everywhere, or everywhere else.",
    )
    rotate_client_key: RotateClientKeyPayload = strawberry.field(
        resolver=access.rotate_client_key,
        directives=[allowed.AUTHENTICATED, AVAILABLE_IN_MAINTENANCE, costs.WRITE],
        description="Put a new key in the place of the old ones of the partner's client, which hold for a day more.",
    )
    grant_message_consent: MessageConsentPayload = strawberry.field(
        resolver=messages.grant_message_consent,
        directives=[allowed.PROFILE, costs.WRITE],
        description="Keep what the user has accepted: one message (订阅消息) of each template.",
    )
    withdraw_message_consent: MessageConsentPayload = strawberry.field(
        resolver=messages.withdraw_message_consent,
        directives=[allowed.PROFILE, costs.WRITE],
        description="Send no more messages of these templates.",
    )
    voice_turn: VoiceTurnPayload = strawberry.field(
        resolver=voice.voice_turn,
        directives=[allowed.PUBLIC, budgets.VOICE, costs.THIRD_PARTY],
        description="Take one turn of a conversation by voice. Money moves in the second turn at the earliest.",
    )
    register_webhook: RegisterWebhookPayload = strawberry.field(
        resolver=webhooks.register_webhook,
        directives=[allowed.WEBHOOKS, costs.THIRD_PARTY],
        description="Have the events of a subscription sent to a URL. For tokens with the scope `webhooks`.",
    )
    update_webhook: UpdateWebhookPayload = strawberry.field(
        resolver=webhooks.update_webhook,
        directives=[allowed.WEBHOOKS, costs.THIRD_PARTY],
        description="Send a webhook's events to another URL.",
    )
    pause_webhook: PauseWebhookPayload = strawberry.field(
        resolver=webhooks.pause_webhook,
        directives=[allowed.WEBHOOKS, costs.WRITE],
        description="Deliver nothing until the webhook is resumed.",
    )
    resume_webhook: ResumeWebhookPayload = strawberry.field(
        resolver=webhooks.resume_webhook,
        directives=[allowed.WEBHOOKS, costs.WRITE],
        description="Deliver again, where the webhook stands or behind another cursor: replay, or pass an event by.",
    )
    rotate_webhook_secret: RotateWebhookSecretPayload = strawberry.field(
        resolver=webhooks.rotate_webhook_secret,
        directives=[allowed.WEBHOOKS, costs.WRITE],
        description="Make a new secret; the one before it signs as well for a day.",
    )
    delete_webhook: DeleteWebhookPayload = strawberry.field(
        resolver=webhooks.delete_webhook, directives=[allowed.WEBHOOKS, costs.WRITE], description="Forget a webhook."
    )
    send_test_webhook: SendTestWebhookPayload = strawberry.field(
        resolver=webhooks.send_test_webhook,
        directives=[allowed.WEBHOOKS, budgets.CONTACT, costs.THIRD_PARTY],
        description="Send one signed message of the type `webhook.test`, and wait for what becomes of it.",
    )


@strawberry.type(description="What can be listened to.")
class Subscription(StaffSubscription):
    arrivals: ArrivalStreamEvent = strawberry.subscription(
        resolver=streams.arrivals,
        directives=[allowed.FOLLOWS_RECHARGES, LOSSLESS_FOR_VIEWER, costs.READS],
        description="到账通知: a notice the moment that money has arrived on a card.",
    )
    price_changes: PriceStreamEvent = strawberry.subscription(
        resolver=streams.price_changes,
        directives=[allowed.PUBLIC, LATEST_FOR_EVERYONE, costs.READS],
        description="Every change of an official price, the moment it is in force.",
    )
    order_updated: OrderStreamEvent = strawberry.subscription(
        resolver=streams.order_updated,
        directives=[allowed.FOLLOWS_RECHARGES, LOSSLESS_FOR_VIEWER, costs.READS],
        description="The order as it is now, and again at every change.",
    )


def build(
    limits: Limits | None = None,
    *,
    page_size_max: int = PAGE_SIZE_MAX,
    cache_size_max_bytes: int = CACHE_SIZE_MAX_BYTES,
    compiles: bool = True,
) -> Schema:
    """Return the executable schema, which refuses documents over these limits and keeps so much of the others.

    No page is longer than `page_size_max`.
    """
    return Schema(
        compiles=compiles,
        limits=limits,
        page_size_max=page_size_max,
        cache_size_max_bytes=cache_size_max_bytes,
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        # No field is of this type; a draft's error, which is any `UserError`, may be one.
        types=[PriceChangedError],
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=False),
    )
