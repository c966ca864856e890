"""The bills of card issuers, and the ways in which they can be wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from uuid import uuid4

from kernel.clock import business_day
from sandbox.store import Document

SIGNS = {"SUCCEEDED": 1, "REVERSED": -1}
STRANGE_FEN = 10_000


def yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def of_day(recharges: Iterable[Document], day: str) -> list[Document]:
    """Return what was settled on a business day and moved money."""
    return [
        each
        for each in recharges
        if each["state"] in SIGNS and business_day(datetime.fromisoformat(each["settled_at"])).isoformat() == day
    ]


def write_bill(recharges: list[Document], *, secret: bytes, digest: str, encoding: str, fault: str) -> bytes:
    """Write the bill: a line for each recharge, and a last one with their count, the sum of the costs and a digest."""
    billed = [{**each} for each in recharges]
    if fault == "bill_omits":
        billed = billed[1:]
    if fault == "bill_adds":
        strange = {"attempt_id": str(uuid4()), "issuer_order_id": "STRANGE1", "state": "SUCCEEDED"}
        billed.append({**strange, "amount_fen": STRANGE_FEN, "cost_fen": STRANGE_FEN})
    if fault == "bill_drifts":
        billed[0]["cost_fen"] += 1
    body = "".join(
        f"{each['attempt_id']},{each['issuer_order_id']},{each['state']},{yuan(each['amount_fen'])},"
        f"{yuan(each['cost_fen'])}\n"
        for each in billed
    ).encode(encoding)
    total_fen = sum(SIGNS[each["state"]] * each["cost_fen"] for each in billed)
    digested = hashlib.new(digest, body + secret, usedforsecurity=False).hexdigest()
    bill = body + f"TOTAL,{len(billed)},{yuan(total_fen)},{digested}\n".encode(encoding)
    if fault == "bill_cut_off":
        return bill[: len(bill) // 2]
    return bill.replace(b",SUCCEEDED,", b",SUCCEEDED,1", 1) if fault == "bill_altered" else bill
