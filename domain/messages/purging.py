"""Forgetting old messages, and the consents behind them."""

from __future__ import annotations

from datetime import datetime

from models.database import transactional
from models.messages import MessageConsent, OutgoingMessage


@transactional
async def purge(*, before: datetime, limit: int) -> int:
    """Delete up to `limit` messages that were settled before the moment, and as many consents that ended before it.

    Returns the larger of the two counts. A message keeps its event from being told of twice, so the moment must lie
    far behind the age at which events are told of no more.
    """
    messages = await OutgoingMessage.filter(settled_at__lt=before).order_by("settled_at").limit(limit).values_list("id")
    consents = await MessageConsent.filter(ended_at__lt=before).order_by("ended_at").limit(limit).values_list("id")
    await OutgoingMessage.filter(id__in=[each[0] for each in messages]).delete()
    await MessageConsent.filter(id__in=[each[0] for each in consents]).delete()
    return max(len(messages), len(consents))
