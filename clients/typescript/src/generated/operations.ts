// What the client knows of the schema and of its documents. Made by `make clients`; do not edit.

import type { Operation, Refusal, Unknown } from "../wire.js";

/** Who issued a fuel card. */
export type CardBrand = "SINOPEC" | "PETROCHINA" | (string & {});

/** Why an order failed. */
export type FailureKind = "UNPAID" | "CANCELLED" | "REJECTED" | "ISSUER_REFUSED" | "REVERSED" | (string & {});

/** Why events behind a cursor cannot be told one by one. */
export type GapReason = "HISTORY_GONE" | "EPOCH_CHANGED" | (string & {});

/** Where a recharge order stands. */
export type OrderState = "PENDING_PAYMENT" | "PAYING" | "RECHARGING" | "SUCCEEDED" | "FAILED" | (string & {});

/** How an order is paid. */
export type PaymentMethod = "WECHAT_PAY" | "ALIPAY" | "WALLET" | "MANDATE" | (string & {});

/** A fuel of the official price notices. */
export type Product = "GASOLINE_89" | "GASOLINE_92" | "GASOLINE_95" | "GASOLINE_98" | "DIESEL_0" | (string & {});

/** Where the money of a failed order is. */
export type RefundState = "NONE" | "PROCESSING" | "SUCCESS" | "ABNORMAL" | (string & {});

/** Where the review of an order stands that a person must look at before it is recharged. */
export type ReviewState = "NONE" | "REQUIRED" | "PENDING" | "APPROVED" | "REJECTED" | (string & {});

/** What the service can do now. */
export type ServiceMode = "NORMAL" | "MAINTENANCE" | (string & {});

/** Whose sign stands at a station. */
export type StationBrand = "SINOPEC" | "PETROCHINA" | "CNOOC" | "SHELL" | "OTHER" | (string & {});

/** Why deliveries to a webhook have stopped. */
export type SuspensionReason = "FAILING" | "GONE" | "OWNER_GONE" | "REFUSED" | (string & {});

/** Why an attempt was no success. */
export type WebhookDeliveryError = "ANSWERED" | "TIMEOUT" | "UNREACHABLE" | "UNRESOLVABLE" | "ADDRESS_REFUSED" | "TLS" | "PROTOCOL" | "EXECUTION" | (string & {});

/** Why a document cannot feed a webhook. */
export type WebhookDocumentReason = "TOO_LONG" | "MISSING" | "NOT_PERSISTED" | "SYNTAX" | "VALIDATION" | "TOO_COMPLEX" | "OPERATION" | "ROOT_FIELD" | "AFTER_MISSING" | "AFTER_GIVEN" | "VARIABLES" | "REFUSED" | (string & {});

/** Whether a webhook is delivered. */
export type WebhookState = "ACTIVE" | "PAUSED" | "SUSPENDED" | (string & {});

/** What is wrong with a webhook's URL. */
export type WebhookUrlReason = "MALFORMED" | "TOO_LONG" | "SCHEME" | "CREDENTIALS" | "FRAGMENT" | "HOST" | "PORT" | "ADDRESS" | "UNRESOLVABLE" | (string & {});

/** A place on the globe (WGS 84). */
export interface LocationInput {
  /** Degrees north of the equator, from -90 to 90. */
  readonly latitude: number;
  /** Degrees east of Greenwich, from -180 to 180. */
  readonly longitude: number;
}

export interface ArrivalsArrivalEventNoticeOrder {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
  /** Where the order stands. */
  readonly state: OrderState;
}

export interface ArrivalsArrivalEventNoticeAmount {
  /** Integer fen; compute with this. */
  readonly fen: number;
  /** For people, such as `¥500.00`. */
  readonly text: string;
}

export interface ArrivalsArrivalEventNotice {
  /** The order that is fulfilled. */
  readonly order: ArrivalsArrivalEventNoticeOrder;
  /** How much has arrived. */
  readonly amount: ArrivalsArrivalEventNoticeAmount;
  /** When the card issuer confirmed it. */
  readonly arrivedAt: string;
  /** For people, in the language of the connection. */
  readonly text: string;
}

export interface ArrivalsArrivalEvent {
  readonly __typename: "ArrivalEvent";
  /** Give this as `after` when you subscribe again, and nothing is missed or repeated. */
  readonly cursor: string;
  /** What has arrived. */
  readonly notice: ArrivalsArrivalEventNotice;
}

export interface ArrivalsArrivalGapArrivalsOrder {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
  /** Where the order stands. */
  readonly state: OrderState;
}

export interface ArrivalsArrivalGapArrivalsAmount {
  /** Integer fen; compute with this. */
  readonly fen: number;
  /** For people, such as `¥500.00`. */
  readonly text: string;
}

export interface ArrivalsArrivalGapArrivals {
  /** The order that is fulfilled. */
  readonly order: ArrivalsArrivalGapArrivalsOrder;
  /** How much has arrived. */
  readonly amount: ArrivalsArrivalGapArrivalsAmount;
  /** When the card issuer confirmed it. */
  readonly arrivedAt: string;
  /** For people, in the language of the connection. */
  readonly text: string;
}

export interface ArrivalsArrivalGap {
  readonly __typename: "ArrivalGap";
  /** Give this as `after` when you subscribe again, and nothing is missed or repeated. */
  readonly cursor: string;
  /** Why. */
  readonly reason: GapReason;
  /** Whether this is all; false where there was more than a snapshot holds. */
  readonly complete: boolean;
  /** The viewer's latest arrivals, newest first. */
  readonly arrivals: readonly ArrivalsArrivalGapArrivals[];
}

export type ArrivalsResult =
  | ArrivalsArrivalEvent
  | ArrivalsArrivalGap
  | Unknown;

export type ArrivalsVariables = {
  readonly after?: string | null;
};

/** 到账通知: a notice the moment that money has arrived on a card. */
export const arrivals: Operation<ArrivalsResult, ArrivalsVariables> = {
  name: "Arrivals",
  kind: "subscription",
  field: "arrivals",
  sha256: "297335fa365d6bc2b7c6a54ae344bfe90c9990d06b782e67ec87fb678d3f2e72",
  text: "subscription Arrivals($after: String) {\n  arrivals(after: $after) {\n    __typename\n    ... on StreamEvent { cursor }\n    ... on ArrivalEvent { notice { order { id state } amount { fen text } arrivedAt text } }\n    ... on ArrivalGap { reason complete arrivals { order { id state } amount { fen text } arrivedAt text } }\n  }\n}\n",
};

export interface BindCardSuccessCard {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
  /** Who issued the card. */
  readonly brand: CardBrand;
  /** The last four digits behind a mask, such as `**** 1234`. */
  readonly maskedNumber: string;
  /** When it was bound. */
  readonly boundAt: string;
}

export interface BindCardSuccess {
  readonly __typename: "BindCardSuccess";
  /** The card. */
  readonly card: BindCardSuccessCard;
}

export interface BindCardInvalidCardNumber extends Refusal {
  readonly __typename: "InvalidCardNumber";
}

export interface BindCardLimitReached extends Refusal {
  readonly __typename: "LimitReached";
}

export interface BindCardMaintenanceError extends Refusal {
  readonly __typename: "MaintenanceError";
}

export interface BindCardOrganisationError extends Refusal {
  readonly __typename: "OrganisationError";
}

export type BindCardResult =
  | BindCardSuccess
  | BindCardInvalidCardNumber
  | BindCardLimitReached
  | BindCardMaintenanceError
  | BindCardOrganisationError
  | Unknown;

export type BindCardVariables = {
  readonly number: string;
};

/** Bind a fuel card to the viewer. Binding it again returns it. */
export const bindCard: Operation<BindCardResult, BindCardVariables> = {
  name: "BindCard",
  kind: "mutation",
  field: "bindCard",
  sha256: "3054389730cc726888bb09cc33731e8749561cfbf1c360b6695fe5bdbf7e1fb3",
  text: "mutation BindCard($number: String!) {\n  bindCard(input: { number: $number }) {\n    __typename\n    ... on BindCardSuccess { card { id brand maskedNumber boundAt } }\n    ... on UserError { code message }\n  }\n}\n",
};

export interface CardsCardsEdgesNode {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
  /** Who issued the card. */
  readonly brand: CardBrand;
  /** The last four digits behind a mask, such as `**** 1234`. */
  readonly maskedNumber: string;
  /** When it was bound. */
  readonly boundAt: string;
}

export interface CardsCardsEdges {
  /** The row itself. */
  readonly node: CardsCardsEdgesNode;
}

export interface CardsCardsPageInfo {
  /** Whether there is more behind this page. */
  readonly hasNextPage: boolean;
  /** Give this as `after` to get the next page. */
  readonly endCursor: string | null;
}

export interface CardsCards {
  /** The rows of this page. */
  readonly edges: readonly CardsCardsEdges[];
  /** Where this page ends. */
  readonly pageInfo: CardsCardsPageInfo;
}

export interface Cards {
  /** The cards that the viewer may recharge, their own and shared ones, newest first. */
  readonly cards: CardsCards;
}

export type CardsVariables = {
  readonly first?: number;
  readonly after?: string | null;
};

/** The signed-in user; null where nobody is signed in. */
export const cards: Operation<Cards | null, CardsVariables> = {
  name: "Cards",
  kind: "query",
  field: "viewer",
  sha256: "a9d79180353f18b468e8548eee4962ef4948629eff694bcc18001e1ee6f0e78a",
  text: "query Cards($first: Int! = 20, $after: String) {\n  viewer {\n    cards(first: $first, after: $after) {\n      edges { node { id brand maskedNumber boundAt } }\n      pageInfo { hasNextPage endCursor }\n    }\n  }\n}\n",
};

export interface CreateRechargeSuccessOrderAmount {
  /** Integer fen; compute with this. */
  readonly fen: number;
  /** For people, such as `¥500.00`. */
  readonly text: string;
}

export interface CreateRechargeSuccessOrderPrice {
  /** Integer fen; compute with this. */
  readonly fen: number;
  /** For people, such as `¥500.00`. */
  readonly text: string;
}

export interface CreateRechargeSuccessOrder {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
  /** Where the order stands. */
  readonly state: OrderState;
  /** Whether a person must look at the order. */
  readonly reviewState: ReviewState;
  /** What arrives on the card. */
  readonly amount: CreateRechargeSuccessOrderAmount;
  /** What is paid; less than `amount` where an offer was taken. */
  readonly price: CreateRechargeSuccessOrderPrice;
  /** Until when the order can be paid. */
  readonly payDeadlineAt: string;
}

export interface CreateRechargeSuccess {
  readonly __typename: "CreateRechargeSuccess";
  /** The order. */
  readonly order: CreateRechargeSuccessOrder;
}

export interface CreateRechargeIdempotencyError extends Refusal {
  readonly __typename: "IdempotencyError";
}

export interface CreateRechargeInvalidAmountMinimum {
  /** Integer fen; compute with this. */
  readonly fen: number;
  /** For people, such as `¥500.00`. */
  readonly text: string;
}

export interface CreateRechargeInvalidAmountMaximum {
  /** Integer fen; compute with this. */
  readonly fen: number;
  /** For people, such as `¥500.00`. */
  readonly text: string;
}

export interface CreateRechargeInvalidAmount extends Refusal {
  readonly __typename: "InvalidAmount";
  /** The least that can be recharged, where that is the reason. */
  readonly minimum: CreateRechargeInvalidAmountMinimum | null;
  /** The most that can be recharged, where that is the reason. */
  readonly maximum: CreateRechargeInvalidAmountMaximum | null;
}

export interface CreateRechargeLimitReached extends Refusal {
  readonly __typename: "LimitReached";
  /** The limit. */
  readonly countMax: number;
}

export interface CreateRechargeMaintenanceError extends Refusal {
  readonly __typename: "MaintenanceError";
}

export interface CreateRechargeMemberLimitError extends Refusal {
  readonly __typename: "MemberLimitError";
}

export interface CreateRechargeNotFound extends Refusal {
  readonly __typename: "NotFound";
}

export interface CreateRechargeOfferError extends Refusal {
  readonly __typename: "OfferError";
}

export interface CreateRechargeRateLimitedError extends Refusal {
  readonly __typename: "RateLimitedError";
}

export type CreateRechargeResult =
  | CreateRechargeSuccess
  | CreateRechargeIdempotencyError
  | CreateRechargeInvalidAmount
  | CreateRechargeLimitReached
  | CreateRechargeMaintenanceError
  | CreateRechargeMemberLimitError
  | CreateRechargeNotFound
  | CreateRechargeOfferError
  | CreateRechargeRateLimitedError
  | Unknown;

export type CreateRechargeVariables = {
  readonly card: string;
  readonly amount: string;
  readonly key?: string;
};

/** Order a recharge. It is paid in a second step. Without `key` it gets a new idempotency key. */
export const createRecharge: Operation<CreateRechargeResult, CreateRechargeVariables> = {
  name: "CreateRecharge",
  kind: "mutation",
  field: "createRecharge",
  key: "key",
  sha256: "1f74d7e48b5bda5d7642b928834b29548fec1741be1a62a64e5fc6a7e1083491",
  text: "mutation CreateRecharge($card: ID!, $amount: Yuan!, $key: String!) {\n  createRecharge(input: { cardId: $card, amount: $amount, idempotencyKey: $key }) {\n    __typename\n    ... on CreateRechargeSuccess { order { id state reviewState amount { fen text } price { fen text } payDeadlineAt } }\n    ... on UserError { code message }\n    ... on InvalidAmount { minimum { fen text } maximum { fen text } }\n    ... on LimitReached { countMax: maximum }\n  }\n}\n",
};

export interface DeleteWebhookSuccess {
  readonly __typename: "DeleteWebhookSuccess";
  /** The id that it had. */
  readonly webhookId: string;
}

export interface DeleteWebhookForbidden extends Refusal {
  readonly __typename: "Forbidden";
}

export interface DeleteWebhookMaintenanceError extends Refusal {
  readonly __typename: "MaintenanceError";
}

export interface DeleteWebhookNotFound extends Refusal {
  readonly __typename: "NotFound";
}

export type DeleteWebhookResult =
  | DeleteWebhookSuccess
  | DeleteWebhookForbidden
  | DeleteWebhookMaintenanceError
  | DeleteWebhookNotFound
  | Unknown;

export type DeleteWebhookVariables = {
  readonly webhook: string;
};

/** Forget a webhook. */
export const deleteWebhook: Operation<DeleteWebhookResult, DeleteWebhookVariables> = {
  name: "DeleteWebhook",
  kind: "mutation",
  field: "deleteWebhook",
  sha256: "a395503c7ff1253f8bee70679c0c3fa5f519a527f764ae7ed39c50c1099df4cc",
  text: "mutation DeleteWebhook($webhook: ID!) {\n  deleteWebhook(input: { webhookId: $webhook }) {\n    __typename\n    ... on DeleteWebhookSuccess { webhookId }\n    ... on UserError { code message }\n  }\n}\n",
};

export interface NoticesEdgesNodeOrder {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
}

export interface NoticesEdgesNodeAmount {
  /** Integer fen; compute with this. */
  readonly fen: number;
  /** For people, such as `¥500.00`. */
  readonly text: string;
}

export interface NoticesEdgesNode {
  /** The order that is fulfilled. */
  readonly order: NoticesEdgesNodeOrder;
  /** How much has arrived. */
  readonly amount: NoticesEdgesNodeAmount;
  /** When the card issuer confirmed it. */
  readonly arrivedAt: string;
  /** For people, in the language of the connection. */
  readonly text: string;
}

export interface NoticesEdges {
  /** Give this as `after` when you subscribe again, and nothing is missed or repeated. */
  readonly cursor: string;
  /** What has arrived. */
  readonly node: NoticesEdgesNode;
}

export interface NoticesGap {
  /** Give this as `after` when you subscribe again, and nothing is missed or repeated. */
  readonly cursor: string;
  /** Why. */
  readonly reason: GapReason;
  /** Whether this is all; false where there was more than a snapshot holds. */
  readonly complete: boolean;
}

export interface NoticesPageInfo {
  /** Whether there is more behind this page. */
  readonly hasNextPage: boolean;
  /** Give this as `after` to get the next page. */
  readonly endCursor: string | null;
}

export interface Notices {
  /** The arrivals of this page. */
  readonly edges: readonly NoticesEdges[];
  /** Tells that arrivals behind `after` are missing; then there are no edges. */
  readonly gap: NoticesGap | null;
  /** Where this page ends; `endCursor` is there for an empty page, too, so that you can go on from it. */
  readonly pageInfo: NoticesPageInfo;
}

export type NoticesVariables = {
  readonly first?: number;
  readonly after?: string | null;
};

/** 到账通知 without a subscription: the viewer's arrivals, oldest first, with the same cursors. */
export const notices: Operation<Notices, NoticesVariables> = {
  name: "Notices",
  kind: "query",
  field: "notices",
  sha256: "9af1fb2865586b239fda4b85d1b14c414471766cd268c06bb1adf0d5f5fbce16",
  text: "query Notices($first: Int! = 20, $after: String) {\n  notices(first: $first, after: $after) {\n    edges { cursor node { order { id } amount { fen text } arrivedAt text } }\n    gap { cursor reason complete }\n    pageInfo { hasNextPage endCursor }\n  }\n}\n",
};

export interface OrderAmount {
  /** Integer fen; compute with this. */
  readonly fen: number;
  /** For people, such as `¥500.00`. */
  readonly text: string;
}

export interface OrderCard {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
  /** The last four digits behind a mask, such as `**** 1234`. */
  readonly maskedNumber: string;
}

export interface Order {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
  /** Where the order stands. */
  readonly state: OrderState;
  /** What arrives on the card. */
  readonly amount: OrderAmount;
  /** Why the order failed, where it did. */
  readonly failureKind: FailureKind | null;
  /** Where the money of a failed order is. */
  readonly refundState: RefundState;
  /** Whether a person must look at the order. */
  readonly reviewState: ReviewState;
  /** The card that is recharged. */
  readonly card: OrderCard;
  /** When the order was created. */
  readonly createdAt: string;
  /** When the order last changed. */
  readonly updatedAt: string;
}

export type OrderVariables = {
  readonly order: string;
};

/** One order of the viewer, or any order for staff; null where there is none with this id. */
export const order: Operation<Order | null, OrderVariables> = {
  name: "Order",
  kind: "query",
  field: "order",
  sha256: "21cdb219bba5bbb10ffba961b9bde56c47bba89eda665b658eda0bfbfe3b1c1f",
  text: "query Order($order: ID!) {\n  order(id: $order) {\n    id\n    state\n    amount { fen text }\n    failureKind\n    refundState\n    reviewState\n    card { id maskedNumber }\n    createdAt\n    updatedAt\n  }\n}\n",
};

export interface OrderUpdatesOrderEventOrder {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
  /** Where the order stands. */
  readonly state: OrderState;
  /** Why the order failed, where it did. */
  readonly failureKind: FailureKind | null;
  /** Where the money of a failed order is. */
  readonly refundState: RefundState;
}

export interface OrderUpdatesOrderEvent {
  readonly __typename: "OrderEvent";
  /** Give this as `after` when you subscribe again, and nothing is missed or repeated. */
  readonly cursor: string;
  /** The order now; changes that followed each other at once are joined. */
  readonly order: OrderUpdatesOrderEventOrder;
}

export interface OrderUpdatesOrderGapOrder {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
  /** Where the order stands. */
  readonly state: OrderState;
  /** Why the order failed, where it did. */
  readonly failureKind: FailureKind | null;
  /** Where the money of a failed order is. */
  readonly refundState: RefundState;
}

export interface OrderUpdatesOrderGap {
  readonly __typename: "OrderGap";
  /** Give this as `after` when you subscribe again, and nothing is missed or repeated. */
  readonly cursor: string;
  /** Why. */
  readonly reason: GapReason;
  /** The order now. */
  readonly order: OrderUpdatesOrderGapOrder;
}

export type OrderUpdatesResult =
  | OrderUpdatesOrderEvent
  | OrderUpdatesOrderGap
  | Unknown;

export type OrderUpdatesVariables = {
  readonly order: string;
  readonly after?: string | null;
};

/** The order as it is now, and again at every change. */
export const orderUpdates: Operation<OrderUpdatesResult, OrderUpdatesVariables> = {
  name: "OrderUpdates",
  kind: "subscription",
  field: "orderUpdated",
  sha256: "1ef6f6c29a4d299d04e86660ec31a2852e07ac44ed8991bafd164cf03f6fb5d4",
  text: "subscription OrderUpdates($order: ID!, $after: String) {\n  orderUpdated(id: $order, after: $after) {\n    __typename\n    ... on StreamEvent { cursor }\n    ... on OrderEvent { order { id state failureKind refundState } }\n    ... on OrderGap { reason order { id state failureKind refundState } }\n  }\n}\n",
};

export interface PayRechargeChannelError extends Refusal {
  readonly __typename: "ChannelError";
  /** Whether repeating the same request can help. */
  readonly retryable: boolean;
}

export interface PayRechargeFaceCheckError extends Refusal {
  readonly __typename: "FaceCheckError";
}

export interface PayRechargeIdempotencyError extends Refusal {
  readonly __typename: "IdempotencyError";
}

export interface PayRechargeInsufficientBalanceMissing {
  /** Integer fen; compute with this. */
  readonly fen: number;
  /** For people, such as `¥500.00`. */
  readonly text: string;
}

export interface PayRechargeInsufficientBalance extends Refusal {
  readonly __typename: "InsufficientBalance";
  /** How much is missing. */
  readonly missing: PayRechargeInsufficientBalanceMissing;
}

export interface PayRechargeMaintenanceError extends Refusal {
  readonly __typename: "MaintenanceError";
}

export interface PayRechargeMandateError extends Refusal {
  readonly __typename: "MandateError";
}

export interface PayRechargeNotFound extends Refusal {
  readonly __typename: "NotFound";
}

export interface PayRechargeOrderStateError extends Refusal {
  readonly __typename: "OrderStateError";
}

export interface PayRechargeSuccessOrder {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
  /** Where the order stands. */
  readonly state: OrderState;
}

export interface PayRechargeSuccessPayment {
  /** `appId` */
  readonly appId: string;
  /** `timeStamp`, Unix seconds */
  readonly timeStamp: string;
  /** `nonceStr` */
  readonly nonceStr: string;
  /** `package`, such as `prepay_id=wx20…` */
  readonly package: string;
  /** `signType`, always RSA */
  readonly signType: string;
  /** `paySign`, the signature over the others */
  readonly paySign: string;
}

export interface PayRechargeSuccess {
  readonly __typename: "PayRechargeSuccess";
  /** The order, now being paid. */
  readonly order: PayRechargeSuccessOrder;
  /** What the client hands to WeChat Pay; null where another way is taken. */
  readonly payment: PayRechargeSuccessPayment | null;
}

export interface PayRechargePaymentMethodError extends Refusal {
  readonly __typename: "PaymentMethodError";
}

export interface PayRechargePaymentPasswordError extends Refusal {
  readonly __typename: "PaymentPasswordError";
}

export interface PayRechargeRateLimitedError extends Refusal {
  readonly __typename: "RateLimitedError";
}

export type PayRechargeResult =
  | PayRechargeChannelError
  | PayRechargeFaceCheckError
  | PayRechargeIdempotencyError
  | PayRechargeInsufficientBalance
  | PayRechargeMaintenanceError
  | PayRechargeMandateError
  | PayRechargeNotFound
  | PayRechargeOrderStateError
  | PayRechargeSuccess
  | PayRechargePaymentMethodError
  | PayRechargePaymentPasswordError
  | PayRechargeRateLimitedError
  | Unknown;

export type PayRechargeVariables = {
  readonly order: string;
  readonly method?: PaymentMethod;
  readonly key?: string;
};

/** Start to pay an order, or continue where it was started. Without `key` it gets a new idempotency key. */
export const payRecharge: Operation<PayRechargeResult, PayRechargeVariables> = {
  name: "PayRecharge",
  kind: "mutation",
  field: "payRecharge",
  key: "key",
  sha256: "7943f226a7333b4751e9bdce1b597077149a35d82945ce13c5a9733a9e5e8d57",
  text: "mutation PayRecharge($order: ID!, $method: PaymentMethod! = WECHAT_PAY, $key: String!) {\n  payRecharge(input: { orderId: $order, method: $method, idempotencyKey: $key }) {\n    __typename\n    ... on PayRechargeSuccess {\n      order { id state }\n      payment { appId timeStamp nonceStr package signType paySign }\n    }\n    ... on UserError { code message }\n    ... on ChannelError { retryable }\n    ... on InsufficientBalance { missing { fen text } }\n  }\n}\n",
};

export interface PriceChangesPriceChangeEventPriceUnitPrice {
  /** Thousandths of a yuan per litre; compute with this. */
  readonly milliyuan: number;
  /** For people, such as `¥8.46/L`. */
  readonly text: string;
}

export interface PriceChangesPriceChangeEventPrice {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
  /** What it is the price of. */
  readonly product: Product;
  /** The price per litre. */
  readonly unitPrice: PriceChangesPriceChangeEventPriceUnitPrice;
}

export interface PriceChangesPriceChangeEventPrevious {
  /** Thousandths of a yuan per litre; compute with this. */
  readonly milliyuan: number;
  /** For people, such as `¥8.46/L`. */
  readonly text: string;
}

export interface PriceChangesPriceChangeEvent {
  readonly __typename: "PriceChangeEvent";
  /** Give this as `after` when you subscribe again, and nothing is missed or repeated. */
  readonly cursor: string;
  /** The new price, in force from now on. */
  readonly price: PriceChangesPriceChangeEventPrice;
  /** The price before it; null for the first one of a zone. */
  readonly previous: PriceChangesPriceChangeEventPrevious | null;
}

export interface PriceChangesPriceGapPricesUnitPrice {
  /** Thousandths of a yuan per litre; compute with this. */
  readonly milliyuan: number;
  /** For people, such as `¥8.46/L`. */
  readonly text: string;
}

export interface PriceChangesPriceGapPrices {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
  /** What it is the price of. */
  readonly product: Product;
  /** The price per litre. */
  readonly unitPrice: PriceChangesPriceGapPricesUnitPrice;
}

export interface PriceChangesPriceGap {
  readonly __typename: "PriceGap";
  /** Give this as `after` when you subscribe again, and nothing is missed or repeated. */
  readonly cursor: string;
  /** Why. */
  readonly reason: GapReason;
  /** Whether this is all; false where there was more than a snapshot holds. */
  readonly complete: boolean;
  /** The current prices of what you follow. */
  readonly prices: readonly PriceChangesPriceGapPrices[];
}

export type PriceChangesResult =
  | PriceChangesPriceChangeEvent
  | PriceChangesPriceGap
  | Unknown;

export type PriceChangesVariables = {
  readonly zone?: string | null;
  readonly product?: Product | null;
  readonly after?: string | null;
};

/** Every change of an official price, the moment it is in force. */
export const priceChanges: Operation<PriceChangesResult, PriceChangesVariables> = {
  name: "PriceChanges",
  kind: "subscription",
  field: "priceChanges",
  sha256: "63849c3a2de6de5820955aacc2fe86691dd3e23fcd3d322660ca8b63f48283c8",
  text: "subscription PriceChanges($zone: ID, $product: Product, $after: String) {\n  priceChanges(zone: $zone, product: $product, after: $after) {\n    __typename\n    ... on StreamEvent { cursor }\n    ... on PriceChangeEvent { price { id product unitPrice { milliyuan text } } previous { milliyuan text } }\n    ... on PriceGap { reason complete prices { id product unitPrice { milliyuan text } } }\n  }\n}\n",
};

export interface RegisterWebhookCursorError extends Refusal {
  readonly __typename: "CursorError";
}

export interface RegisterWebhookForbidden extends Refusal {
  readonly __typename: "Forbidden";
}

export interface RegisterWebhookInvalidWebhookDocument extends Refusal {
  readonly __typename: "InvalidWebhookDocument";
  /** What is wrong with it. */
  readonly documentReason: WebhookDocumentReason;
  /** Where exactly, for whoever wrote the document. */
  readonly detail: string;
}

export interface RegisterWebhookInvalidWebhookUrl extends Refusal {
  readonly __typename: "InvalidWebhookUrl";
  /** What is wrong with it. */
  readonly urlReason: WebhookUrlReason;
}

export interface RegisterWebhookLimitReached extends Refusal {
  readonly __typename: "LimitReached";
}

export interface RegisterWebhookMaintenanceError extends Refusal {
  readonly __typename: "MaintenanceError";
}

export interface RegisterWebhookWebhookSecretSuccessWebhook {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
  /** Where the events are sent. */
  readonly url: string;
  /** The `type` of its events: the field of the subscription. */
  readonly eventType: string;
  /** Whether events are delivered. */
  readonly state: WebhookState;
  /** That of the last event that the receiver has taken. */
  readonly cursor: string | null;
}

export interface RegisterWebhookWebhookSecretSuccess {
  readonly __typename: "WebhookSecretSuccess";
  /** Signs every request; `whsec_` and base64. It is shown only now. */
  readonly secret: string;
  /** The webhook. */
  readonly webhook: RegisterWebhookWebhookSecretSuccessWebhook;
}

export type RegisterWebhookResult =
  | RegisterWebhookCursorError
  | RegisterWebhookForbidden
  | RegisterWebhookInvalidWebhookDocument
  | RegisterWebhookInvalidWebhookUrl
  | RegisterWebhookLimitReached
  | RegisterWebhookMaintenanceError
  | RegisterWebhookWebhookSecretSuccess
  | Unknown;

export type RegisterWebhookVariables = {
  readonly url: string;
  readonly document?: string | null;
  readonly documentId?: string | null;
  readonly variables?: Record<string, unknown> | null;
  readonly after?: string | null;
};

/** Have the events of a subscription sent to a URL. For tokens with the scope `webhooks`. */
export const registerWebhook: Operation<RegisterWebhookResult, RegisterWebhookVariables> = {
  name: "RegisterWebhook",
  kind: "mutation",
  field: "registerWebhook",
  sha256: "b84d1cc61779b5914c2baa7ca269b445b0dcaa099d425bd8c82ca0e8993e6cf8",
  text: "mutation RegisterWebhook($url: String!, $document: String, $documentId: String, $variables: JSONObject, $after: String) {\n  registerWebhook(\n    input: { url: $url, document: $document, documentId: $documentId, variables: $variables, after: $after }\n  ) {\n    __typename\n    ... on WebhookSecretSuccess { secret webhook { id url eventType state cursor } }\n    ... on UserError { code message }\n    ... on InvalidWebhookUrl { urlReason: reason }\n    ... on InvalidWebhookDocument { documentReason: reason detail }\n  }\n}\n",
};

export interface SendTestWebhookForbidden extends Refusal {
  readonly __typename: "Forbidden";
}

export interface SendTestWebhookMaintenanceError extends Refusal {
  readonly __typename: "MaintenanceError";
}

export interface SendTestWebhookNotFound extends Refusal {
  readonly __typename: "NotFound";
}

export interface SendTestWebhookRateLimitedError extends Refusal {
  readonly __typename: "RateLimitedError";
}

export interface SendTestWebhookSuccess {
  readonly __typename: "SendTestWebhookSuccess";
  /** Whether the receiver has taken it. */
  readonly succeeded: boolean;
  /** The HTTP status of the answer; null where there was none. */
  readonly status: number | null;
  /** Why it was no success. */
  readonly error: WebhookDeliveryError | null;
  /** How long it took, in milliseconds. */
  readonly latencyMs: number;
}

export type SendTestWebhookResult =
  | SendTestWebhookForbidden
  | SendTestWebhookMaintenanceError
  | SendTestWebhookNotFound
  | SendTestWebhookRateLimitedError
  | SendTestWebhookSuccess
  | Unknown;

export type SendTestWebhookVariables = {
  readonly webhook: string;
};

/** Send one signed message of the type `webhook.test`, and wait for what becomes of it. */
export const sendTestWebhook: Operation<SendTestWebhookResult, SendTestWebhookVariables> = {
  name: "SendTestWebhook",
  kind: "mutation",
  field: "sendTestWebhook",
  sha256: "158f7e8d99396c9a8e09257def294d9bf37c894315ad6f7017a5918eda3bbce4",
  text: "mutation SendTestWebhook($webhook: ID!) {\n  sendTestWebhook(input: { webhookId: $webhook }) {\n    __typename\n    ... on SendTestWebhookSuccess { succeeded status error latencyMs }\n    ... on UserError { code message }\n  }\n}\n",
};

export interface ServiceStatus {
  /** What the service can do now. */
  readonly mode: ServiceMode;
  /** What users shall be told of the maintenance. */
  readonly message: string | null;
  /** When the maintenance should be over. */
  readonly until: string | null;
}

export type ServiceStatusVariables = Record<string, never>;

/** How the service is: what a client obeys, and what is degraded. */
export const serviceStatus: Operation<ServiceStatus, ServiceStatusVariables> = {
  name: "ServiceStatus",
  kind: "query",
  field: "serviceStatus",
  sha256: "a2b869c8b21e864f26b21ae78d39f93d8fef148c74215e9750254a39a6359e03",
  text: "query ServiceStatus {\n  serviceStatus { mode message until }\n}\n",
};

export interface StationsEdgesNodeLocation {
  /** Degrees north of the equator, from -90 to 90. */
  readonly latitude: number;
  /** Degrees east of Greenwich, from -180 to 180. */
  readonly longitude: number;
}

export interface StationsEdgesNodePricesUnitPrice {
  /** Thousandths of a yuan per litre; compute with this. */
  readonly milliyuan: number;
  /** For people, such as `¥8.46/L`. */
  readonly text: string;
}

export interface StationsEdgesNodePrices {
  /** What it is the price of. */
  readonly product: Product;
  /** The price per litre. */
  readonly unitPrice: StationsEdgesNodePricesUnitPrice;
  /** Since when it is in force. */
  readonly effectiveFrom: string;
}

export interface StationsEdgesNode {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
  /** Such as `中国石化(康健加油站)`. */
  readonly name: string;
  /** Whose sign stands there. */
  readonly brand: StationBrand;
  /** Street and number; empty where the source has none. */
  readonly address: string;
  /** Where it stands. */
  readonly location: StationsEdgesNodeLocation;
  /** The official prices in force here now, by product. */
  readonly prices: readonly StationsEdgesNodePrices[];
}

export interface StationsEdges {
  /** Metres from `near`, as the crow flies; null without `near`. */
  readonly distance: number | null;
  /** The station itself. */
  readonly node: StationsEdgesNode;
}

export interface StationsPageInfo {
  /** Whether there is more behind this page. */
  readonly hasNextPage: boolean;
  /** Give this as `after` to get the next page. */
  readonly endCursor: string | null;
}

export interface Stations {
  /** The stations of this page. */
  readonly edges: readonly StationsEdges[];
  /** Where this page ends. */
  readonly pageInfo: StationsPageInfo;
}

export type StationsVariables = {
  readonly near: LocationInput;
  readonly radius?: number;
  readonly product?: Product | null;
  readonly first?: number;
  readonly after?: string | null;
};

/** Filling stations, nearest first or cheapest first. */
export const stations: Operation<Stations, StationsVariables> = {
  name: "Stations",
  kind: "query",
  field: "stations",
  sha256: "9becb45f52231f201b5a80ccc8de1e80e5d586a40245a3e21278896ca4d1aa0e",
  text: "query Stations($near: LocationInput!, $radius: Int! = 5000, $product: Product, $first: Int! = 20, $after: String) {\n  stations(near: $near, radius: $radius, product: $product, first: $first, after: $after) {\n    edges {\n      distance\n      node {\n        id\n        name\n        brand\n        address\n        location { latitude longitude }\n        prices(product: $product) { product unitPrice { milliyuan text } effectiveFrom }\n      }\n    }\n    pageInfo { hasNextPage endCursor }\n  }\n}\n",
};

export interface WebhooksEdgesNodeDeliveriesEdgesNode {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
  /** The how-manieth attempt of this event it was. */
  readonly attempt: number;
  /** Whether the receiver has taken it. */
  readonly succeeded: boolean;
  /** The HTTP status of the answer; null where there was none. */
  readonly status: number | null;
  /** Why it was no success. */
  readonly error: WebhookDeliveryError | null;
  /** When it ended. */
  readonly occurredAt: string;
}

export interface WebhooksEdgesNodeDeliveriesEdges {
  /** The row itself. */
  readonly node: WebhooksEdgesNodeDeliveriesEdgesNode;
}

export interface WebhooksEdgesNodeDeliveries {
  /** The rows of this page. */
  readonly edges: readonly WebhooksEdgesNodeDeliveriesEdges[];
}

export interface WebhooksEdgesNode {
  /** Opaque and stable; give it to `node(id)`. */
  readonly id: string;
  /** Where the events are sent. */
  readonly url: string;
  /** Whether events are delivered. */
  readonly state: WebhookState;
  /** Why deliveries have stopped, if so. */
  readonly suspensionReason: SuspensionReason | null;
  /** That of the last event that the receiver has taken. */
  readonly cursor: string | null;
  /** The log of its deliveries, newest first. Old rows are deleted. */
  readonly deliveries: WebhooksEdgesNodeDeliveries;
}

export interface WebhooksEdges {
  /** The row itself. */
  readonly node: WebhooksEdgesNode;
}

export interface WebhooksPageInfo {
  /** Whether there is more behind this page. */
  readonly hasNextPage: boolean;
  /** Give this as `after` to get the next page. */
  readonly endCursor: string | null;
}

export interface Webhooks {
  /** The rows of this page. */
  readonly edges: readonly WebhooksEdges[];
  /** Where this page ends. */
  readonly pageInfo: WebhooksPageInfo;
}

export type WebhooksVariables = {
  readonly first?: number;
  readonly after?: string | null;
  readonly deliveries?: number;
};

/** The viewer's webhooks, newest first. For tokens with the scope `webhooks`. */
export const webhooks: Operation<Webhooks, WebhooksVariables> = {
  name: "Webhooks",
  kind: "query",
  field: "webhooks",
  sha256: "a9c43bee536c5e0d0e06ced887b18c01359ba3c1a8f67c62a619c5f1ff26ced6",
  text: "query Webhooks($first: Int! = 20, $after: String, $deliveries: Int! = 5) {\n  webhooks(first: $first, after: $after) {\n    edges {\n      node {\n        id\n        url\n        state\n        suspensionReason\n        cursor\n        deliveries(first: $deliveries) { edges { node { id attempt succeeded status error occurredAt } } }\n      }\n    }\n    pageInfo { hasNextPage endCursor }\n  }\n}\n",
};
