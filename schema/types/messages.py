"""Messages outside the service: what the viewer has accepted, and the phone that is theirs."""

from __future__ import annotations

from typing import Self

import strawberry

from domain.messages.consents import Standing
from domain.messages.ports import Templates
from models.messages import UserPhone
from schema.types import costs
from schema.types.enums import MessageTemplate, Product
from schema.types.scalars import DateTime
from schema.types.step_up import grant_field


@strawberry.type(description="The phone number of the viewer.")
class BoundPhone:
    masked_number: str = strawberry.field(description="The number behind a mask, such as `138****1234`.")
    bound_at: DateTime = strawberry.field(description="When it was bound.")

    @classmethod
    def of(cls, row: UserPhone) -> Self:
        return cls(masked_number=row.phone_masked, bound_at=DateTime(row.bound_at))


@strawberry.type(description="A template of messages, and how many of them the viewer still accepts.")
class MessageConsent:
    template: MessageTemplate = strawberry.field(description="What its messages tell of.")
    template_id: str = strawberry.field(description="Its id at the platform, for `wx.requestSubscribeMessage`.")
    left: int = strawberry.field(description="How many messages the viewer has accepted and not been sent yet.")

    @classmethod
    def listed(cls, standings: list[Standing], templates: Templates) -> list[Self]:
        """Return the standings of the templates that this deployment has."""
        return [
            cls(template=each.template, template_id=templates[each.template].id, left=each.left)
            for each in standings
            if each.template in templates
        ]


@strawberry.input(description="A code of `getPhoneNumber`, which the user has just allowed.")
class BindPhoneInput:
    code: str = strawberry.field(description="Good once, for five minutes.")
    step_up_grant: str | None = grant_field()


@strawberry.input(description="Where a code is sent.")
class RequestSmsCodeInput:
    phone: str = strawberry.field(description="A mobile number of the mainland: 11 digits, with or without `+86`.")


@strawberry.type(description="The code is on its way.")
class RequestSmsCodeSuccess:
    expires_at: DateTime = strawberry.field(description="Until when it is good, unless another one is asked for.")


@strawberry.input(description="A code that was sent to the phone.")
class ConfirmPhoneInput:
    phone: str = strawberry.field(description="The number that the code was sent to.")
    code: str = strawberry.field(description="Six digits. After a few wrong ones it is good no more.")
    step_up_grant: str | None = grant_field()


@strawberry.type(description="The number is bound; it has taken the place of another one.")
class BindPhoneSuccess:
    phone: BoundPhone = strawberry.field(description="The number, masked.")


@strawberry.input(description="Which price a message is about.")
class PriceWatchInput:
    station_id: strawberry.ID = strawberry.field(description="A station in the price zone.")
    product: Product = strawberry.field(description="The product.")


@strawberry.input(description="What the user has accepted in `wx.requestSubscribeMessage`.")
class GrantMessageConsentInput:
    template_ids: list[strawberry.ID] = strawberry.field(description="The templates that were answered `accept`.")
    price: PriceWatchInput | None = strawberry.field(
        default=None, description="Which price to tell of; the template of price changes needs it."
    )
    idempotency_key: str = strawberry.field(
        description="8 to 64 visible ASCII characters. The same key grants nothing twice."
    )


@strawberry.input(description="Which messages the user does not want any more.")
class WithdrawMessageConsentInput:
    template_ids: list[strawberry.ID] = strawberry.field(description="The templates.")


@strawberry.type(description="What the viewer accepts now.")
class MessageConsentSuccess:
    consents: list[MessageConsent] = strawberry.field(
        directives=[costs.at_most(20)], description="Every template of this deployment."
    )
