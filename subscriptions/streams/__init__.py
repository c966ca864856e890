"""The fields of Subscription: who may follow what, from where, and what each event becomes.

Each function refuses before it returns its generator, so that a client is told by an `error` instead of by an empty
stream.
"""

from subscriptions.streams.notices import arrivals
from subscriptions.streams.orders import order_updated
from subscriptions.streams.prices import price_changes
from subscriptions.streams.staff import alerts

__all__ = ["alerts", "arrivals", "order_updated", "price_changes"]
