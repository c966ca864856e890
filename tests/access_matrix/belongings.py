"""What the owner has, alone and in an organisation, and the marks by which it is known in an answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from domain.access.rules import shown
from domain.identity import phones
from domain.identity.phone_numbers import read_phone
from domain.identity.viewer import Viewer
from domain.organisations.invitations import Offered
from domain.signins import records
from domain.signins.records import Origin
from kernel import keys
from kernel.access_states import SignInKind
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.settings import Settings
from kernel.states import DeviceCodeState, PaymentState, Product, WebhookState
from models.access import DeviceCode, OAuthSession
from models.identity import User
from models.organisations import Organisation
from models.payments import WalletTopUp
from models.pricing import PriceZone
from models.reconciliation import ReconciliationDifference, ReconciliationRun
from models.stations import Station
from models.webhooks import Webhook, WebhookDelivery
from schema.types.relay import global_id
from tests.factories import create_card, create_offer, create_order, create_viewer
from tests.organisations.support import ADMIN, DRIVER, create_firm
from tests.reconciliation.support import DAY, FakeChannel, stranger
from tests.reconciliation.support import run as reconcile
from tests.stations.support import create_prices, create_stations, station_record

FIRM = "甲乙丙运输有限公司"
NAME, URL, DEVICE = "车主甲乙丙", "https://owner-of-the-matrix.example/hook", "车主甲乙丙的手机"
USER_CODE = "WDJBMJHT"
WORK_NUMBER = "9012345678900077"
# Where each type of node is shown first.
FIRST_FIELDS = {
    "Card": "Viewer.cards",
    "Difference": "Query.reconciliationDifferences",
    "Offer": "Query.offers",
    "Order": "Query.order",
    "Organisation": "Query.organisation",
    "PriceZone": "Query.stations",
    "Profile": "Viewer.profile",
    "ReconciliationRun": "Query.reconciliationRuns",
    "Session": "Viewer.sessions",
    "Station": "Query.station",
    "TopUp": "Viewer.wallet",
    "Webhook": "Query.webhooks",
    "WebhookDelivery": "Query.webhooks",
}
PRIVATE = ("Card", "Order", "Profile", "Session", "TopUp", "Webhook", "WebhookDelivery")


@dataclass
class Belongings:
    owner: Viewer
    ids: dict[str, str]
    session: str
    card_number: str
    firm: Workplace
    marks: list[str] = field(default_factory=list)

    @property
    def given(self) -> dict[str, Any]:
        """Return arguments as the owner would send them, by name."""
        return {
            "id": self.ids["Order"],
            "nodes.ids": [self.ids[name] for name in PRIVATE],
            "station.id": self.ids["Station"],
            "cardId": self.ids["Card"],
            "orderId": self.ids["Order"],
            "offerId": self.ids["Offer"],
            "webhookId": self.ids["Webhook"],
            "sessionId": self.session,
            "userId": self.ids["Profile"],
            "userCode": shown(USER_CODE),
            "number": self.card_number,
            "idempotencyKey": "key-of-the-matrix",
            "registerWebhook.url": URL,
            "registerWebhook.document": "subscription ($after: String) { arrivals(after: $after) { __typename } }",
            "transcript": "我的余额",
            "switch": "HIDE_MARKETING",
            "phone": "13800138000",
            "first": 20,
            "organisation.id": self.ids["Organisation"],
            "organisationId": self.ids["Organisation"],
            "memberId": self.firm.member_id,
            "invitationId": self.firm.invitation_id,
            "addOrganisationCard.cardId": self.firm.card_id,
            "removeOrganisationCard.cardId": self.firm.card_id,
        }

    @property
    def given_at_work(self) -> dict[str, Any]:
        """Return arguments that name the organisation's card, and an order of the owner's for it."""
        return {**self.given, "id": self.firm.order_id, "orderId": self.firm.order_id, "cardId": self.firm.card_id}

    def hidden_from(self, *, belongs: bool) -> list[str]:
        """Return the marks that nobody but the owner may see; a driver of the organisation sees a few of them."""
        return [*self.marks, *self.firm.inner, *([] if belongs else self.firm.shared)]


@dataclass
class Workplace:
    """The owner's organisation: a driver, somebody who was removed, and what the owner has done for it.

    `shared` is what every member sees, `inner` what takes more than a driver's role.
    """

    driver: Viewer
    removed: Viewer
    member_id: str
    card_id: str
    order_id: str
    invitation_id: str
    key: str
    shared: list[str]
    inner: list[str]


async def create_workplace(owner: Viewer) -> Workplace:
    firm = await create_firm(owner=owner, number=WORK_NUMBER, name=FIRM)
    order = await create_order(owner, firm.card)
    (driver, member), (removed, gone) = await firm.join(DRIVER), await firm.join(ADMIN)
    await create_order(removed, firm.card)
    await firm.remove(gone)
    invitation = (await firm.invite(Offered(name="受邀的人甲乙", role=DRIVER))).invitation
    owner_id = global_id("OrganisationMember", firm.owner_member.id)
    card_id, order_id = global_id("Card", firm.card.id), global_id("Order", order.id)
    invitation_id = global_id("Invitation", invitation.id)
    return Workplace(
        driver, removed, global_id("OrganisationMember", member.id), card_id, order_id, invitation_id,
        key=str(firm.organisation.id), shared=[FIRM, firm.organisation.credit_code, card_id],
        inner=[owner_id, order_id, invitation_id, invitation.name],
    )  # fmt: skip


async def create_belongings(settings: Settings) -> Belongings:
    """Give the owner one of everything that can be asked for, and the house a station, its price and an offer."""
    owner, now, sealer = await create_viewer(), utc_now(), keys.sealer(settings)
    await User.filter(id=owner.user_id).update(display_name=NAME)
    card = await create_card(owner)
    order = await create_order(owner, card)
    phone = await phones.keep(user_id=owner.user_id, phone=read_phone("13987654321"), sealer=sealer, now=now)
    common: dict[str, Any] = {"created_at": now}
    top_up = await WalletTopUp.create(
        id=new_id(), user_id=owner.user_id, channel="WECHAT_PAY", sub_mchid="1900000109", out_trade_no="matrix",
        amount_fen=12_345, state=PaymentState.CLOSED, pay_deadline_at=now, **common,
    )  # fmt: skip
    webhook = await Webhook.create(
        id=new_id(), user_id=owner.user_id, client_id="tests", scopes=["webhooks"], url=URL, document="x",
        variables={}, event_type="arrivals", locale="zh-CN", state=WebhookState.PAUSED, attempt=0,
        next_attempt_at=now, secret_sealed=sealer.seal("secret", owner="matrix"), **common,
    )  # fmt: skip
    delivery = await WebhookDelivery.create(
        id=new_id(), webhook_id=webhook.id, user_id=owner.user_id, message_id="message-of-the-matrix", attempt=1,
        latency_ms=1, occurred_at=now,
    )  # fmt: skip
    session = await OAuthSession.create(
        id=new_id(), owner_id=owner.user_id, client_id="mini-program", device_name=DEVICE, scopes=["profile"],
        last_seen_at=now, expires_at=now + timedelta(days=1), **common,
    )  # fmt: skip
    await records.write(
        kind=SignInKind.SIGNED_IN,
        origin=Origin("mini-program", "matrix", device_name=DEVICE),
        owner_id=owner.user_id,
        session_id=session.id,
        now=now,
    )
    await DeviceCode.create(
        id=new_id(), code_hash="matrix", user_code=USER_CODE, client_id="car", scopes=["recharge:voice"],
        device_name="车", vehicle_id="LSVAU2180N2183294", state=DeviceCodeState.PENDING, interval_s=5,
        expires_at=now + timedelta(minutes=10), **common,
    )  # fmt: skip
    await create_stations(station_record(1, latitude=31.2, longitude=121.4))
    await create_prices({("310000", "上海市"): {Product.GASOLINE_92: 7_500}})
    firm, (run, difference) = await create_workplace(owner), await _create_books()
    rows = {
        "Card": card, "Difference": difference, "Offer": await create_offer(), "Order": order,
        "Organisation": await Organisation.get(id=firm.key), "PriceZone": await PriceZone.first(),
        "Profile": await User.get(id=owner.user_id), "ReconciliationRun": run, "Station": await Station.first(),
        "TopUp": top_up, "Webhook": webhook, "Session": session, "WebhookDelivery": delivery,
    }  # fmt: skip
    ids = {name: str(global_id(name, row.id)) for name, row in rows.items() if row}
    assert ids.keys() == FIRST_FIELDS.keys()
    marks = [
        NAME,
        URL,
        DEVICE,
        "message-of-the-matrix",
        phone.phone_masked,
        *(ids[name] for name in PRIVATE),
    ]
    firm.shared.append(ids["Organisation"])
    return Belongings(owner, ids, ids["Session"], "1000111100000000001", firm, [*marks, str(owner.user_id)])


async def _create_books() -> tuple[ReconciliationRun, ReconciliationDifference]:
    """Compare a bill in which there is one payment that nobody knows of."""
    with TemporaryDirectory() as folder:
        run = await reconcile(FakeChannel(bills={DAY: [stranger(1)]}), Path(folder))
    return run, await ReconciliationDifference.get(run_id=run.id)
