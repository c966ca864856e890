"""The ledger by shard and by month, checked at every commit; the finance journal that is read off its events.

What 0.1.0 booked is kept: each account is split by shard, entries are numbered anew inside their part, and each old
transaction gets the event that it would have written.
"""

from models import migrating
from tortoise.migrations import operations as ops
from models.fields import UtcDatetimeField
from models.operations import AppendOnly, AppendOnlyRows, Check, CreateLiterally, PartialIndex, Sql
from tortoise.fields.base import OnDelete
from uuid import uuid4
from tortoise import fields

# A user's shard is the last digit of the id, which is hexadecimal; the same words on both engines, and short ones.
DIGITS = " ".join(f"WHEN '{digit:x}' THEN {digit}" for digit in range(16))
SHARD_OF_USER = f"COALESCE(CASE SUBSTR(CAST(user_id AS TEXT), 36, 1) {DIGITS} END, 0)"
SHARD_OF_CODE = f"CASE SUBSTR(code, LENGTH(code), 1) {DIGITS} END"
STREAM = "'ledger:' || CASE WHEN shard < 10 THEN '0' ELSE '' END || CAST(shard AS TEXT)"
OF_USER = "(SUBSTR(code, 1, 17) = 'customer_prepaid:' OR SUBSTR(code, 1, 14) = 'customer_held:')"
IN_SHARD = {
    "condition": "shard = COALESCE(get_byte(uuid_send(user_id), 15) & 15, 0)",
    "sqlite": "shard = COALESCE(instr('0123456789abcdef', substr(user_id, 36)) - 1, 0)",
}

# The chart of accounts, and which of them have no overdraft.
COLONS = "length(code) - length(replace(code, ':', ''))"
IN_CHART = {
    "condition": "code ~ '^(escrow:operating|escrow:reserve|recharge_transit|refunds_payable|fee_expense|commission_income|loss"
    "|customer_(prepaid|held):[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|channel_clearing:[^:]+:[^:]+"
    "|(issuer_prepaid|merchant_payable|suspense):[^:]+)$'",
    "sqlite": "code IN ('escrow:operating', 'escrow:reserve', 'recharge_transit', 'refunds_payable', 'fee_expense', "
    "'commission_income', 'loss') "
    "OR (substr(code, 1, 17) = 'customer_prepaid:' AND length(code) = 53) "
    "OR (substr(code, 1, 14) = 'customer_held:' AND length(code) = 50) "
    f"OR (instr(code, '::') = 0 AND substr(code, -1) <> ':' AND ((substr(code, 1, 17) = 'channel_clearing:' AND {COLONS} = 2) "
    f"OR (substr(code, 1, instr(code, ':')) IN ('issuer_prepaid:', 'merchant_payable:', 'suspense:') AND {COLONS} = 1)))",
}
NO_OVERDRAFT = {
    "condition": "CASE WHEN balance_fen > 0 THEN code !~ '^(recharge_transit|refunds_payable|customer_)' ELSE balance_fen = 0 OR code !~ '^escrow:' END",
    "sqlite": f"NOT (balance_fen > 0 AND (code IN ('recharge_transit', 'refunds_payable') OR {OF_USER})) "
    "AND NOT (balance_fen < 0 AND code IN ('escrow:operating', 'escrow:reserve'))",
}
ACCOUNT_SHARD = {
    "condition": "shard BETWEEN 0 AND 15 AND CASE WHEN code ~ '^customer_' THEN shard = strpos('0123456789abcdef', right(code, 1)) - 1 "
    "ELSE shard = 0 OR code !~ '^escrow:' END",
    "sqlite": f"shard BETWEEN 0 AND 15 AND (NOT {OF_USER} OR shard = instr('0123456789abcdef', substr(code, -1)) - 1) "
    "AND (substr(code, 1, 7) <> 'escrow:' OR shard = 0)",
}

KEEP = [
    "CREATE TEMPORARY TABLE kept_account AS SELECT * FROM ledger_account",
    "CREATE TEMPORARY TABLE kept_transaction AS SELECT t.*, o.user_id, 0 AS shard, 0 AS position "
    "FROM ledger_transaction t LEFT JOIN recharge_order o ON o.id = t.order_id",
    f"UPDATE kept_transaction SET shard = {SHARD_OF_USER}",
    "UPDATE kept_transaction SET position = (SELECT numbered.position FROM (SELECT id, ROW_NUMBER() OVER "
    "(PARTITION BY shard ORDER BY occurred_at, id) AS position FROM kept_transaction) AS numbered WHERE numbered.id = kept_transaction.id)",
    "CREATE TEMPORARY TABLE kept_entry AS SELECT e.id, e.transaction_id, e.amount_fen, a.code, t.user_id, t.shard, t.occurred_at, "
    "ROW_NUMBER() OVER (PARTITION BY a.code, t.shard ORDER BY e.account_version) AS account_version "
    "FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id JOIN kept_transaction t ON t.id = e.transaction_id",
]
NEW_UUID = {
    "postgres": "gen_random_uuid()",
    "sqlite": "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8' || "
    "substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))",
}
PAYLOAD = {
    "postgres": "jsonb_build_object('key', t.key, 'user_id', t.user_id, 'order_id', t.order_id, "
    "'business_day', to_char(t.occurred_at AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD'), 'lines', "
    "(SELECT jsonb_agg(jsonb_build_object('account', e.code, 'amount_fen', e.amount_fen) ORDER BY e.id) "
    "FROM kept_entry e WHERE e.transaction_id = t.id))",
    "sqlite": "json_object('key', t.key, 'user_id', t.user_id, 'order_id', t.order_id, "
    "'business_day', date(t.occurred_at, '+8 hours'), 'lines', json((SELECT json_group_array(json_object("
    "'account', l.code, 'amount_fen', l.amount_fen)) FROM (SELECT * FROM kept_entry e WHERE e.transaction_id = t.id ORDER BY e.id) AS l)))",
}


def restore(dialect: str) -> list[str]:
    return [
        f"INSERT INTO ledger_account (id, code, shard, balance_fen, version, created_at) SELECT {NEW_UUID[dialect]}, e.code, e.shard, "
        "SUM(e.amount_fen), COUNT(*), MIN(a.created_at) FROM kept_entry e JOIN kept_account a ON a.code = e.code GROUP BY e.code, e.shard",
        f"INSERT INTO ledger_account (id, code, shard, balance_fen, version, created_at) SELECT id, code, "
        f"CASE WHEN {OF_USER} THEN {SHARD_OF_CODE} ELSE 0 END, balance_fen, version, created_at FROM kept_account a "
        "WHERE NOT EXISTS (SELECT 1 FROM kept_entry e WHERE e.code = a.code)",
        "INSERT INTO ledger_transaction (id, key, order_id, user_id, shard, position, line_count, occurred_at) "
        "SELECT id, key, order_id, user_id, shard, position, "
        "(SELECT COUNT(*) FROM kept_entry e WHERE e.transaction_id = t.id), occurred_at FROM kept_transaction t",
        "INSERT INTO ledger_entry (id, transaction_id, account_id, line_number, line_count, amount_fen, account_version, user_id, shard, occurred_at) "
        "SELECT e.id, e.transaction_id, a.id, ROW_NUMBER() OVER (PARTITION BY e.transaction_id ORDER BY e.id), "
        "COUNT(*) OVER (PARTITION BY e.transaction_id), e.amount_fen, e.account_version, e.user_id, e.shard, e.occurred_at "
        "FROM kept_entry e JOIN ledger_account a ON a.code = e.code AND a.shard = e.shard",
        "INSERT INTO event (stream, position, type, payload, occurred_at, published_at) "
        f"SELECT {STREAM}, t.position, 'ledger.posted', {PAYLOAD[dialect]}, t.occurred_at, t.occurred_at "
        "FROM kept_transaction t ORDER BY t.shard, t.position",
        f"INSERT INTO event_stream (name, position) SELECT {STREAM}, MAX(position) FROM kept_transaction GROUP BY shard",
        "DROP TABLE kept_entry",
        "DROP TABLE kept_transaction",
        "DROP TABLE kept_account",
    ]


# An entry refers to its transaction and its account with what it shares with them, so none can stand in another shard,
# month or posting; and a transaction has a number for each of its lines, so none can be added to it.
ENTRY_KEYS = (
    "CHECK (line_number BETWEEN 1 AND line_count), "
    "FOREIGN KEY (transaction_id, shard, line_count, occurred_at) "
    "REFERENCES ledger_transaction (id, shard, line_count, occurred_at) ON DELETE RESTRICT, "
    "FOREIGN KEY (account_id, shard) REFERENCES ledger_account (id, shard) ON DELETE RESTRICT"
)
ENTRY_POSTGRES = [
    "CREATE TABLE ledger_entry (id UUID NOT NULL, transaction_id UUID NOT NULL, account_id UUID NOT NULL, "
    "line_number SMALLINT NOT NULL, line_count SMALLINT NOT NULL, amount_fen BIGINT NOT NULL, account_version BIGINT NOT NULL, "
    "user_id UUID, shard SMALLINT NOT NULL, occurred_at TIMESTAMPTZ NOT NULL, "
    f"PRIMARY KEY (transaction_id, line_number, occurred_at), {ENTRY_KEYS}) PARTITION BY RANGE (occurred_at)",
    "CREATE INDEX entry_by_account ON ledger_entry (account_id, account_version)",
    "CREATE TABLE ledger_entry_rest PARTITION OF ledger_entry DEFAULT",
    "CREATE TRIGGER ledger_entry_rest_no_truncate BEFORE TRUNCATE ON ledger_entry_rest "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
]
ENTRY_SQLITE = [
    "CREATE TABLE ledger_entry (id CHAR(36) NOT NULL PRIMARY KEY, transaction_id CHAR(36) NOT NULL, account_id CHAR(36) NOT NULL, "
    "line_number SMALLINT NOT NULL, line_count SMALLINT NOT NULL, amount_fen BIGINT NOT NULL, account_version BIGINT NOT NULL, "
    "user_id CHAR(36), shard SMALLINT NOT NULL, occurred_at TIMESTAMP NOT NULL, "
    f"UNIQUE (transaction_id, line_number), UNIQUE (account_id, account_version), {ENTRY_KEYS})",
]

# Asked at the commit, once a transaction: 10 microseconds, and 2 more for each partition.
BALANCED_POSTGRES = [
    """
CREATE FUNCTION ledger_check_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found BIGINT;
    total_fen NUMERIC;
BEGIN
    SELECT COUNT(*), SUM(e.amount_fen) INTO found, total_fen FROM ledger_entry e
        WHERE e.transaction_id = NEW.id AND e.occurred_at = NEW.occurred_at;
    IF found <> NEW.line_count OR total_fen <> 0 THEN
        RAISE EXCEPTION 'ledger_balanced: transaction % has % of % lines, with a sum of %',
            NEW.id, found, NEW.line_count, total_fen
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_balanced';
    END IF;
    RETURN NULL;
END $$
""",
    "CREATE CONSTRAINT TRIGGER ledger_transaction_checked AFTER INSERT ON ledger_transaction DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION ledger_check_transaction()",
]
# SQLite has no trigger at the commit, but foreign keys that are checked then. A row stands in this table until its
# transaction has its lines and balances, and refers to a row that can never be; so no commit succeeds meanwhile.
BALANCED_SQLITE = [
    "CREATE TABLE ledger_imbalance (transaction_id CHAR(36) NOT NULL PRIMARY KEY, never CHAR(36) NOT NULL DEFAULT 'never' "
    "CHECK (never = 'never' AND transaction_id <> 'never') REFERENCES ledger_imbalance (transaction_id) DEFERRABLE INITIALLY DEFERRED)",
    "CREATE TRIGGER ledger_transaction_checked AFTER INSERT ON ledger_transaction BEGIN "
    "INSERT INTO ledger_imbalance (transaction_id) VALUES (NEW.id); END",
    "CREATE TRIGGER ledger_entry_checked AFTER INSERT ON ledger_entry BEGIN "
    "DELETE FROM ledger_imbalance WHERE transaction_id = NEW.transaction_id AND EXISTS (SELECT 1 FROM ledger_entry "
    "WHERE transaction_id = NEW.transaction_id GROUP BY transaction_id HAVING COUNT(*) = NEW.line_count AND SUM(amount_fen) = 0); END",
]


class Migration(migrating.Migration):
    dependencies = [('models', '0005_work')]

    initial = False

    operations = [
        Sql("keep what is booked", postgres=KEEP, sqlite=KEEP),
        ops.DeleteModel(name='LedgerEntry'),
        ops.DeleteModel(name='LedgerTransaction'),
        ops.DeleteModel(name='LedgerAccount'),
        ops.CreateModel(
            name='LedgerAccount',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('code', fields.CharField(max_length=96)),
                ('shard', fields.SmallIntField()),
                ('balance_fen', fields.BigIntField()),
                ('version', fields.BigIntField()),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'ledger_account', 'app': 'models', 'unique_together': (('code', 'shard'),), 'pk_attr': 'id', 'table_description': "One shard's part of an account. `balance_fen` is debits minus credits and `version` counts its entries."},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='LedgerTransaction',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('key', fields.CharField(unique=True, max_length=96)),
                ('order_id', fields.UUIDField(null=True, db_index=True)),
                ('user_id', fields.UUIDField(null=True)),
                ('shard', fields.SmallIntField()),
                ('position', fields.BigIntField()),
                ('line_count', fields.SmallIntField()),
                ('occurred_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'ledger_transaction', 'app': 'models', 'unique_together': (('shard', 'position'),), 'pk_attr': 'id', 'table_description': "A balanced set of entries with the key (`{order}:{event}`) that lets it happen only once."},
            bases=['Model'],
        ),
        PartialIndex("ledger_account", "account_with_shard", "id, shard", "", unique=True),
        PartialIndex("ledger_transaction", "transaction_with_entry", "id, shard, line_count, occurred_at", "", unique=True),
        CreateLiterally(
            name='LedgerEntry',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('transaction', fields.ForeignKeyField('models.LedgerTransaction', source_field='transaction_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('account', fields.ForeignKeyField('models.LedgerAccount', source_field='account_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('line_number', fields.SmallIntField()),
                ('line_count', fields.SmallIntField()),
                ('amount_fen', fields.BigIntField()),
                ('account_version', fields.BigIntField()),
                ('user_id', fields.UUIDField(null=True)),
                ('shard', fields.SmallIntField()),
                ('occurred_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'ledger_entry', 'app': 'models', 'unique_together': (('transaction', 'line_number'), ('account', 'account_version')), 'pk_attr': 'id', 'table_description': 'One line: positive `amount_fen` debits the account, negative credits it. Never updated, never deleted.'},
            bases=['Model'],
            postgres=ENTRY_POSTGRES,
            sqlite=ENTRY_SQLITE,
        ),
        Sql("book it again, by shard", postgres=restore("postgres"), sqlite=restore("sqlite")),
        Check("ledger_account", "account_version_not_negative", "version >= 0"),
        Check("ledger_account", "account_in_chart", **IN_CHART),
        Check("ledger_account", "account_no_overdraft", **NO_OVERDRAFT),
        Check("ledger_account", "account_in_its_shard", **ACCOUNT_SHARD),
        Check("ledger_transaction", "transaction_in_its_shard", **IN_SHARD),
        Check("ledger_transaction", "transaction_has_two_lines", "line_count >= 2"),
        Check("ledger_entry", "entry_amount_not_zero", "amount_fen <> 0"),
        Sql("every commit balances", postgres=BALANCED_POSTGRES, sqlite=BALANCED_SQLITE),
        AppendOnly("ledger_transaction"),
        AppendOnlyRows("ledger_transaction", "id", "key", "shard, position"),
        AppendOnly("ledger_entry"),
        AppendOnlyRows("ledger_entry", "id", "transaction_id, line_number", "account_id, account_version"),
        AppendOnlyRows("error_entry", "id", "key"),
        AppendOnlyRows("order_transition", "id", "order_id, version"),
        ops.CreateModel(
            name='FinanceGeneration',
            fields=[
                ('number', fields.IntField(primary_key=True, unique=True, db_index=True)),
                ('started_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('current_since', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'finance_generation', 'app': 'models', 'pk_attr': 'number', 'table_description': 'One journal from the first event on. A rebuild begins another one, which becomes current when it is complete.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='FinanceCursor',
            fields=[
                ('id', fields.IntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('generation', fields.IntField()),
                ('shard', fields.SmallIntField()),
                ('stream', fields.CharField(max_length=64)),
                ('position', fields.BigIntField()),
                ('updated_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'finance_cursor', 'app': 'models', 'unique_together': (('generation', 'stream'),), 'pk_attr': 'id', 'table_description': "How far a generation has read a shard's stream: everything up to `position` is in the journal."},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='FinanceJournal',
            fields=[
                ('id', fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ('generation', fields.IntField()),
                ('stream', fields.CharField(max_length=64)),
                ('position', fields.BigIntField()),
                ('line_number', fields.SmallIntField()),
                ('posting_key', fields.CharField(max_length=96)),
                ('order_id', fields.UUIDField(null=True)),
                ('user_id', fields.UUIDField(null=True)),
                ('shard', fields.SmallIntField()),
                ('account', fields.CharField(max_length=96)),
                ('debit_fen', fields.BigIntField()),
                ('credit_fen', fields.BigIntField()),
                ('business_day', fields.DateField()),
                ('occurred_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'finance_journal', 'app': 'models', 'unique_together': (('generation', 'stream', 'position', 'line_number'),), 'pk_attr': 'id', 'table_description': 'One line of one posting. `business_day` is the day in Asia/Shanghai. Never updated, never deleted.'},
            bases=['Model'],
        ),
        Check("finance_journal", "journal_one_side", "debit_fen >= 0 AND credit_fen >= 0 AND (debit_fen = 0) <> (credit_fen = 0)"),
        Check("finance_journal", "journal_in_its_shard", **IN_SHARD),
        AppendOnly("finance_journal"),
        AppendOnlyRows("finance_journal", "id", "generation, stream, position, line_number"),
    ]
