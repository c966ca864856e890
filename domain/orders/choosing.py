"""By which way an order is paid: what the client can use, what this deployment offers, and what is up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from domain.payments import wallet
from domain.payments.payers import PayerUnknown, payer_of
from domain.payments.ports import CHANNEL_OF, Channels, PaymentChannel
from domain.payments.watching import usable
from kernel.errors import YoukaError
from kernel.states import PaymentMethod
from models.payments import PaymentAttempt

METHOD_OF = {channel: method for method, channel in CHANNEL_OF.items()} | {wallet.WALLET: PaymentMethod.WALLET}
# What is paid without another gesture of the user.
SILENT = frozenset({PaymentMethod.WALLET, PaymentMethod.MANDATE})


class PaymentMethodUnavailable(YoukaError):
    code = "PAYMENT_METHOD_UNAVAILABLE"
    messages = {
        "zh-CN": "当前不支持所选支付方式",
        "en": "This way to pay is not offered",
    }


@dataclass(frozen=True, slots=True)
class Route:
    """Where an attempt goes: a channel and the merchant there, by the user or by a mandate of theirs, or the wallet."""

    channel: str
    sub_mchid: str
    by_mandate: bool = False

    @classmethod
    def of(cls, channel: PaymentChannel) -> Self:
        return cls(channel.name, channel.sub_mchid)

    @classmethod
    def taken_by(cls, attempt: PaymentAttempt) -> Self:
        return cls(attempt.channel, attempt.sub_mchid, attempt.mandate_id is not None)


WALLET = Route(wallet.WALLET, wallet.NO_MERCHANT)


def accepted_methods(
    *, method: PaymentMethod, alternatives: Sequence[PaymentMethod], channels: Channels
) -> tuple[PaymentMethod, ...]:
    """Return the ways that may be taken, the wished one first. An alternative that is not offered is left out.

    The wallet and a mandate are nobody's alternative, nor have they any: they are spent by the user's word alone.
    Raises PaymentMethodUnavailable.
    """
    if alternatives and not SILENT.isdisjoint((method, *alternatives)):
        raise PaymentMethodUnavailable
    if method is PaymentMethod.MANDATE and channels.contracts is None:
        raise PaymentMethodUnavailable
    if method not in SILENT and not channels.by([method]):
        raise PaymentMethodUnavailable
    offered = [each for each in alternatives if channels.by([each])]
    return tuple(dict.fromkeys((method, *offered)))


async def routes_of(*, user_id: UUID, accepted: Sequence[PaymentMethod], channels: Channels) -> list[Route]:
    """Return the routes to try, best first: those that are up, of channels to which the user is known.

    Raises PayerUnknown where they are not known to the channel that they wish for.
    """
    if accepted[0] is PaymentMethod.WALLET:
        return [WALLET]
    if accepted[0] is PaymentMethod.MANDATE:
        assert channels.contracts is not None
        return [Route(channels.contracts.name, channels.contracts.sub_mchid, by_mandate=True)]
    known = [method for method in accepted if await payer_of(user_id=user_id, method=method)]
    if accepted[0] not in known:
        raise PayerUnknown
    return [Route.of(channel) for channel in await usable(channels=channels, methods=known)]


def behind(routes: Sequence[Route], attempt: PaymentAttempt) -> Route | None:
    """Return the route to try where that of an attempt fails, None behind the last. Who failed before is not asked."""
    here = Route.taken_by(attempt)
    rest = routes[routes.index(here) + 1 :] if here in routes else routes
    return rest[0] if rest else None


def method_of(attempt: PaymentAttempt) -> PaymentMethod:
    return PaymentMethod.MANDATE if attempt.mandate_id else METHOD_OF[attempt.channel]
