"""Who a user is at a channel other than the one that they sign in by."""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

from domain.identity.viewer import Viewer
from domain.payments.operations import PaymentUnavailable
from domain.payments.ports import ChannelUnavailable, PayerCodeRefused, PayerCodes
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.states import PaymentMethod
from models.database import transactional
from models.identity import User
from models.payments import ChannelPayer


class PayerUnknown(YoukaError):
    code = "PAYER_UNKNOWN"
    messages = {
        "zh-CN": "请先完成支付宝授权，或重新授权后再试",
        "en": "Authorise the payment with Alipay first, or once more",
    }


async def link(*, viewer: Viewer, code: str, payers: PayerCodes, now: datetime) -> None:
    """Find out by a code of the user who they are at Alipay, and remember it.

    A code is spent by its first exchange, so the same one again stands for what it said then. Raises PayerUnknown or
    PaymentUnavailable.
    """
    digest = hashlib.sha256(code.encode()).hexdigest()
    if await ChannelPayer.filter(user_id=viewer.user_id, method=PaymentMethod.ALIPAY, code_digest=digest).exists():
        return
    try:
        payer_id = await payers.payer_of(code)
    except PayerCodeRefused as error:
        if await ChannelPayer.filter(user_id=viewer.user_id, method=PaymentMethod.ALIPAY, code_digest=digest).exists():
            # The same request, sent twice, has used it a moment ago.
            return
        raise PayerUnknown from error
    except ChannelUnavailable as error:
        raise PaymentUnavailable from error
    await _keep(viewer.user_id, payer_id, digest, now)


@transactional
async def _keep(user_id: UUID, payer_id: str, digest: str, now: datetime) -> None:
    fresh = ChannelPayer(
        id=new_id(),
        user_id=user_id,
        method=PaymentMethod.ALIPAY,
        payer_id=payer_id,
        code_digest=digest,
        linked_at=now,
    )
    await ChannelPayer.bulk_create(
        [fresh],
        on_conflict=["user_id", "method"],
        update_fields=["payer_id", "code_digest", "linked_at"],
    )


async def payer_of(*, user_id: UUID, method: PaymentMethod) -> str | None:
    """Return who the user is to the channel of the method, or None where nobody has told us."""
    if method is PaymentMethod.WECHAT_PAY:
        return (await User.get(id=user_id)).openid
    row = await ChannelPayer.get_or_none(user_id=user_id, method=method)
    return row.payer_id if row else None
