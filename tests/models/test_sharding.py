"""The catalogue of each engine says that accounts and orders can be spread by the user: no key needs another shard.

A table that is not listed here fails the test: whoever makes one says where its rows would live.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from tortoise import Tortoise

from models.database import dialect

# Tables whose rows belong to a user, with the column that says to whom, or in which shard.
SHARDED = {
    "channel_payer": "user_id",
    "error_entry": "user_id",
    "face_check": "user_id",
    "finance_cursor": "shard",
    "payment_password": "user_id",
    "spending_limits": "user_id",
    "step_up_challenge": "user_id",
    "finance_journal": "shard",
    "fuel_card": "user_id",
    "idempotency_key": "user_id",
    "ledger_account": "shard",
    "ledger_entry": "shard",
    "ledger_transaction": "shard",
    "mandate": "user_id",
    "mandate_card": "user_id",
    "manual_case": "user_id",
    "message_consent": "user_id",
    "notice_ack": "user_id",
    "offer_reservation": "user_id",
    "order_transition": "user_id",
    "outgoing_message": "user_id",
    "payment_attempt": "user_id",
    "recharge_attempt": "user_id",
    "recharge_order": "user_id",
    "refund": "user_id",
    "review": "user_id",
    "sms_code": "user_id",
    "user_phone": "user_id",
    "voice_session": "user_id",
    "wallet_top_up": "user_id",
    "webhook": "user_id",
    "webhook_delivery": "user_id",
}
# Tables that stay one, or that each shard has for itself, with the reason.
GLOBAL = {
    "card_check": "beside the issuers, who count by the card and not by whoever has bound it",
    "callback_nonce": "beside the notice that it was used for",
    "channel_health": "how the lines to the channels do is the same for everybody",
    "access_attempt": "counted before anybody knows who tries",
    "assertion_seen": "of programs, not of users",
    "authorization_code": "of those who work here",
    "device_code": "made before anybody knows whose it will be",
    "oauth_client": "the directory of programs",
    "oauth_client_key": "beside it",
    "sign_in_record": "beside the directory of devices, and about nobody known where a proof was wrong",
    "sign_in_challenge": "found by its secret before anybody knows whose it is",
    "sign_in_lock": "counted for clients and addresses as well",
    "oauth_session": "the directory of devices: it is found by its token before anybody knows whose it is",
    "refresh_token": "beside its session",
    "signing_key": "all processes sign with the same",
    "staff_credential": "of those who work here",
    "token_revocation": "every process reads all of them",
    "event": "each shard has its own: a stream is of one user, one order, one part of the ledger, or of everybody",
    "event_epoch": "each shard has its own: it is restored by itself",
    "event_stream": "the heads of those streams, beside them",
    "held_price": "waits for one decision about reference data",
    "message_scan": "each shard has its own: up to which of its events messages were looked for",
    "price_document": "reference data that each shard holds a copy of",
    "finance_generation": "which journal is valid is one decision for all shards",
    "issuer_standing": "each shard has its own: what it has seen of the issuers",
    "job": "each shard has its own: work lies beside what it is about, and no job is about two users",
    "job_intervention": "beside its job",
    "offer": "everybody takes from one stock",
    "organisation": "the directory of enterprises, whose members are users of any shard",
    "organisation_invitation": "made before anybody knows whose it will be",
    "organisation_log": "beside its organisation",
    "organisation_member": "beside its organisation; the orders of a member are in the user's shard",
    "organisation_member_card": "beside its member",
    "price": "reference data that each shard holds a copy of",
    "price_region": "the same",
    "price_zone": "the same",
    "reconciliation_crossing": "what a third party's bill says, which is of all users at once",
    "reconciliation_difference": "the same; it is booked on the house's part of the ledger",
    "reconciliation_run": "one bill is compared at a time, whosever lines are in it",
    "reconciliation_step": "beside its difference",
    "staff_member": "those who work here",
    "staff_action": "what those who work here have done, in one chain",
    "deprecated_use": "counted over everybody who asks",
    "finance_day": "the ledger of all shards at one moment",
    "fund_payee": "the house's own money, and nobody's",
    "fund_transfer": "the same",
    "fund_step": "the same",
    "fund_sweep": "the same",
    "fund_settlement": "the same",
    "insurance_policy": "the house's own contracts",
    "insurance_claim": "beside its policy",
    "station": "reference data that each shard holds a copy of",
    "switch_change": "what is switched on for everybody",
    "third_party_notice": "stored before anybody knows whose it is; out_trade_no leads to the order",
    "tortoise_migrations": "the schema's own",
    "user_account": "the directory: it is what says who somebody is, and the id that it gives names the shard",
}
# What one engine has for itself.
GLOBAL_OF_ENGINE = {
    "sqlite": {
        "ledger_imbalance": "empty whenever a transaction is committed",
        "sqlite_sequence": "the engine's own",
    },
    "postgres": {},
}


@dataclass(frozen=True, slots=True)
class Table:
    required: frozenset[str]
    unique_keys: tuple[frozenset[str], ...]


async def catalogue() -> Mapping[str, Table]:
    """Read every table with its NOT NULL columns and its unique keys, primary keys included."""
    read = _catalogue_of_postgres if dialect() == "postgres" else _catalogue_of_sqlite
    return await read()


async def _catalogue_of_postgres() -> Mapping[str, Table]:
    # Partitions have the columns and the keys of their table, or more.
    tables = await _rows(
        "SELECT c.oid, c.relname AS name FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition "
        "AND c.relnamespace = current_schema()::regnamespace"
    )
    columns = await _rows("SELECT attrelid, attname FROM pg_attribute WHERE attnum > 0 AND attnotnull")
    keys = await _rows(
        "SELECT i.indrelid, array_agg(a.attname::text) AS columns FROM pg_index i "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[]) "
        "WHERE i.indisunique GROUP BY i.indexrelid, i.indrelid"
    )
    return {
        str(table["name"]): Table(
            frozenset(str(column["attname"]) for column in columns if column["attrelid"] == table["oid"]),
            tuple(frozenset(key["columns"]) for key in keys if key["indrelid"] == table["oid"]),  # type: ignore[call-overload]
        )
        for table in tables
    }


async def _catalogue_of_sqlite() -> Mapping[str, Table]:
    found = {}
    for table in await _rows("SELECT name FROM sqlite_master WHERE type = 'table'"):
        columns = await _rows(f"PRAGMA table_info('{table['name']}')")
        keys = [frozenset(str(column["name"]) for column in columns if column["pk"])]
        for index in await _rows(f"PRAGMA index_list('{table['name']}')"):
            if index["unique"]:
                parts = await _rows(f"PRAGMA index_info('{index['name']}')")
                keys.append(frozenset(str(part["name"]) for part in parts))
        required = frozenset(str(column["name"]) for column in columns if column["notnull"])
        found[str(table["name"])] = Table(required, tuple(key for key in keys if key))
    return found


async def _rows(statement: str) -> list[dict[str, object]]:
    return [dict(row) for row in await Tortoise.get_connection("default").execute_query_dict(statement)]


@pytest.mark.usefixtures("database")
class TestCatalogue:
    async def test_every_table_has_its_place(self) -> None:
        tables = set(await catalogue())
        assert tables == {*SHARDED, *GLOBAL, *GLOBAL_OF_ENGINE[dialect()]}
        assert not set(SHARDED) & set(GLOBAL)

    async def test_every_unique_key_of_a_user_lives_beside_the_user(self) -> None:
        tables = await catalogue()
        for name, owner in SHARDED.items():
            table = tables[name]
            assert table.unique_keys, name
            for key in table.unique_keys:
                assert key & {"user_id", "shard"} or owner in table.required, (name, sorted(key))

    async def test_the_catalogue_is_read_whole(self) -> None:
        """Keys of each sort that there is: primary, declared, added, partial, and on a partitioned table."""
        tables = await catalogue()
        assert frozenset({"id"}) in tables["recharge_order"].unique_keys
        assert frozenset({"code", "shard"}) in tables["ledger_account"].unique_keys
        assert frozenset({"id", "shard"}) in tables["ledger_account"].unique_keys
        assert frozenset({"attempt_id"}) in tables["manual_case"].unique_keys
        keys = tables["ledger_entry"].unique_keys
        assert any({"transaction_id", "line_number"} <= key for key in keys)
        assert {"shard", "occurred_at"} <= tables["ledger_entry"].required
        assert "order_id" not in tables["ledger_transaction"].required
