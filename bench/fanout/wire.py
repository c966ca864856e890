"""What all servers under measurement have in common: one document, one shape of answer, one way to publish."""

from __future__ import annotations

PUBLISH_PATH = "/bench/publish"
READY_PATH = "/bench/ready"

# Each event has an amount of its own, by which a client knows which event it has got.
FIRST_MILLIYUAN = 5_000
ZONES = 60
SOURCE = "上海市发展和改革委员会"

DOCUMENT = """
subscription Prices {
  priceChanges {
    ... on PriceChangeEvent {
      cursor
      price { product unitPrice { milliyuan text } effectiveFrom source }
      previous { milliyuan }
    }
  }
}
"""
