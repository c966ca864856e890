"""The rules of `python -m jobs audit-ledger` by which faults are found, as it prints them."""

from __future__ import annotations

from domain.ledger import audit as ledger
from domain.orders import audit as orders

# Where the money of an order is.
TRANSIT = "what is in transit belongs to an order that is recharging"
OWED = "what is owed back is what was paid, not taken and not yet refunded"
PAID_FOR = "an order that recharges or has succeeded was paid"
# What third parties and wallets hold.
CHANNEL = "each channel holds what was paid there and not refunded"
DEPOSIT = "the issuer's deposit has paid for every recharge once"
WALLET = "what is paid into a wallet is credited once"
REPLAYED = ledger.REPLAYED_RULE
ENTERED = ledger.TOLD_RULE
# The story of an order, and what is told of it.
STORY = "every step of an order is in its story"
CHAIN = "every step begins where the one before it ended"
STANDS = "every order stands where its story ends"
STEPS = orders.STEPS_RULE
TOLD = "every step of an order is told by its event"
ARRIVALS = "every arrival is told once"
# Recharges, refunds and stock.
ONCE = "an order is recharged once, and a failed one only where two people decide"
BESIDE = "what was recharged beside an order is before two people"
DEFINITE = "an order goes to another issuer only after a definite no"
UNDER_WAY = "a recharge is under way only while its order recharges"
NUMBER = "a refund keeps the number under which it began"
STOCK = "the stock of an offer is what orders do not hold"
# Work.
PAID_WORK = "a paid order has work that ends it"
REFUND_WORK = "a refund under way has work that ends it"
