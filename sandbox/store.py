"""The sandbox's memory: JSON documents by kind and id in one small SQLite file, so that a restart forgets nothing."""

from __future__ import annotations

import json
import sqlite3
from enum import StrEnum
from pathlib import Path
from typing import Any

Document = dict[str, Any]

TABLE = """
CREATE TABLE IF NOT EXISTS record (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    document TEXT NOT NULL,
    UNIQUE (kind, id)
)
"""
# What requests look for by another name than the id; the rest is looked for when the sandbox starts.
INDEXED = ("prepay_id", "trade_no", "out_trade_no", "subject")


class Kind(StrEnum):
    TRADE = "trade"
    REFUND = "refund"
    RECHARGE = "recharge"
    AGGREGATED = "aggregated"
    DEPOSIT = "deposit"
    DELIVERY = "delivery"
    LOGIN_CODE = "login_code"
    FACE = "face"
    FAULT = "fault"
    OPEN_TOKEN = "open_token"
    PHONE_CODE = "phone_code"
    CONSENT = "consent"
    MESSAGE = "message"
    PRICE_DOCUMENT = "price_document"
    SMS = "sms"
    CERTIFICATE = "certificate"
    PLATFORM = "platform"
    CONTRACT = "contract"
    ALIPAY_TRADE = "alipay_trade"
    ALIPAY_REFUND = "alipay_refund"
    ALIPAY_CODE = "alipay_code"
    BANK_TRANSFER = "bank_transfer"
    BANK_ARRIVAL = "bank_arrival"


class Store:
    """Used from one thread. Each `put` is a transaction of its own."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(TABLE)
        for name in INDEXED:
            self._connection.execute(
                f"CREATE INDEX IF NOT EXISTS record_{name} ON record (kind, {_field(name)}, number)"
            )

    def close(self) -> None:
        self._connection.close()

    def get(self, kind: Kind, id: str) -> Document | None:
        row = self._connection.execute("SELECT document FROM record WHERE kind = ? AND id = ?", (kind, id)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, kind: Kind, id: str, document: Document) -> None:
        self._connection.execute(
            "INSERT INTO record (kind, id, document) VALUES (?, ?, ?) "
            "ON CONFLICT (kind, id) DO UPDATE SET document = excluded.document",
            (kind, id, json.dumps(document, ensure_ascii=False)),
        )

    def delete(self, kind: Kind, id: str) -> None:
        self._connection.execute("DELETE FROM record WHERE kind = ? AND id = ?", (kind, id))

    def newest(self, kind: Kind, count_max: int) -> list[Document]:
        rows = self._connection.execute(
            "SELECT document FROM record WHERE kind = ? ORDER BY number DESC LIMIT ?", (kind, count_max)
        )
        return [json.loads(document) for (document,) in rows]

    def where(self, kind: Kind, name: str, value: str | None) -> list[Document]:
        """Return the documents of which one field has the value, oldest first."""
        rows = self._connection.execute(
            f"SELECT document FROM record WHERE kind = ? AND {_field(name)} IS ? ORDER BY number",  # noqa: S608
            (kind, value),
        )
        return [json.loads(document) for (document,) in rows]


def _field(name: str) -> str:
    """Return the expression of a document's field, in the one form that an index over it is found by."""
    assert name.isidentifier()
    return f"json_extract(document, '$.{name}')"
