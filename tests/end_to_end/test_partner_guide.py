"""What the guide for partners says is run here, from the first key to the last webhook."""

from __future__ import annotations

from tests.guides import run_lines
from tests.house_process import ROOT, RunningHouse

GUIDE = ROOT / "docs" / "partner-guide.md"


async def test_the_lines_do_what_they_say(house: RunningHouse) -> None:
    said = await run_lines(house, GUIDE)
    for each in (
        "fleet: PARTNER, cards profile recharge webhooks",
        "# The schema as partners see it.",
        '"unitPrice":{"text":"¥',
        "the same key, the same order",
        "event: next",
        "¥100.00 has arrived on your fuel card",
        '"sendTestWebhook":{"succeeded":true,"status":204}',
        '"type":"webhook.test"',
        '"type":"arrivals"',
        "refused: AMOUNT_FRACTION_OF_FEN: ",
        "arrived: 10000 fen",
    ):
        assert each in said, said
