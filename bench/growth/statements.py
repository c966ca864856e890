"""The SQL that makes a year of business in one go, set by set. What it writes is what `road` writes, row by row.

Two tables of facts come first and go at the end: `growth_customer`, and `growth_order` with all that the rows of one
order share. Each order is either recharged, or it was never paid and has expired. Every fourth customer has paid into a
wallet, so that there are as many accounts as a service of that size has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Group:
    """Tables that are emptied and filled in one transaction, so that nothing of it need be logged."""

    tables: Sequence[str]
    statements: Sequence[str]


CUSTOMERS = """
CREATE TABLE growth_customer AS
SELECT number, {id:'0':{begins_ms}} AS user_id, {id:'1':{begins_ms}} AS card_id
FROM generate_series(0::bigint, {users} - 1) AS number
CROSS JOIN LATERAL (SELECT {tail:'customer ' || number} AS tail) AS random
"""
# What is sorted is short: all that is long is made of it afterwards.
ORDERS = """
CREATE TABLE growth_order AS
SELECT made.*, amount_fen - amount_fen * {margin} / 10000 AS cost_fen, {id:'0':ms} AS id,
    upper(to_hex(ms) || tail) || '01' AS out_trade_no, {id:'1':ms + 4000} AS payment_id,
    {id:'2':ms + 15000} AS paid_id, {id:'3':ms + 15000} AS paid_notice_id, {id:'4':ms + 16000} AS recharge_id,
    {id:'5':ms + 24000} AS succeeded_id, {id:'6':ms + 24000} AS recharged_notice_id
FROM (
    SELECT placed.*, {tail:'order ' || number} AS tail, {begins_ms} + number * {every_us} / 1000 AS ms,
        {begins_at} + number * {every_us} * interval '1 us' AS created_at,
        (ARRAY[10000, 20000, 50000, 100000])[1 + turn % 4]::bigint AS amount_fen
    FROM (
        SELECT asked.*, row_number() OVER (PARTITION BY shard, recharged ORDER BY number) AS place,
            row_number() OVER (PARTITION BY customer, recharged ORDER BY number) AS arrival
        FROM (
            SELECT order_number AS number, turn, customer.number AS customer, user_id, card_id,
                get_byte(uuid_send(user_id), 15) & ({shards} - 1) AS shard, turn % 10 >= {expired_in_ten} AS recharged
            FROM generate_series(0::bigint, {orders} - 1) AS order_number
            CROSS JOIN LATERAL (SELECT order_number + order_number / {users} AS turn) AS turns
            JOIN growth_customer AS customer ON customer.number = order_number * {stride} % {users}
        ) AS asked ORDER BY number
    ) AS placed
) AS made
"""
TOP_UPS = """
CREATE TABLE growth_top_up AS
SELECT uuidv7({ends_at} - now()) AS id, uuidv7({ends_at} - now()) AS posting_id, user_id, customer.shard,
    row_number() OVER (PARTITION BY customer.shard ORDER BY number) AS place, COALESCE(booked.count, 0) AS orders_before
FROM (SELECT *, get_byte(uuid_send(user_id), 15) & ({shards} - 1) AS shard FROM growth_customer) AS customer
LEFT JOIN (SELECT shard, COUNT(*) FROM growth_order WHERE recharged GROUP BY shard) AS booked USING (shard)
WHERE number % {topped_up_one_in} = 0
"""
FACTS = (CUSTOMERS, ORDERS, TOP_UPS)
FORGET_FACTS = "DROP TABLE growth_top_up, growth_order, growth_customer"

USERS = Group(
    ("user_account",),
    (
        "INSERT INTO user_account (id, openid, display_name, created_at) "
        "SELECT user_id, 'growth-' || number, '油卡用户', {begins_at} FROM growth_customer",
    ),
)
RECHARGE_ORDERS = Group(
    ("recharge_order",),
    (
        """
INSERT INTO recharge_order (id, user_id, card_id, amount_fen, price_fen, state, version, failure_kind, refund_state,
    review_state, pay_deadline_at, created_at, updated_at)
SELECT id, user_id, card_id, amount_fen, amount_fen, CASE WHEN recharged THEN 'SUCCEEDED' ELSE 'FAILED' END,
    CASE WHEN recharged THEN 5 ELSE 2 END, CASE WHEN recharged THEN NULL ELSE 'UNPAID' END, 'NONE', 'NONE',
    created_at + interval '900 s', created_at,
    created_at + CASE WHEN recharged THEN interval '24 s' ELSE interval '901 s' END
FROM growth_order
""",
    ),
)
STORIES = Group(
    ("order_transition",),
    (
        """
INSERT INTO order_transition (id, order_id, user_id, version, rule, trigger, from_state, to_state, actor, reason,
    request_id, occurred_at)
SELECT {id:'8':o.ms + step.after_s * 1000}, o.id, o.user_id, step.version,
    step.rule, step.trigger, step.from_state, step.to_state, COALESCE(step.actor, 'user:' || o.user_id),
    CASE step.reason WHEN 'out_trade_no' THEN o.out_trade_no WHEN 'recharge_id' THEN o.recharge_id::text
        WHEN 'issuer_order_id' THEN 'IC' || replace(o.recharge_id::text, '-', '') ELSE '' END,
    CASE WHEN step.actor IS NULL THEN replace(o.payment_id::text, '-', '') ELSE 'job:' || o.paid_notice_id END,
    o.created_at + step.after_s * interval '1 s'
FROM growth_order o JOIN {STEPS} ON step.recharged = o.recharged
""",
    ),
)
EVENTS = Group(
    ("event",),
    (
        """
INSERT INTO event (stream, position, type, payload, occurred_at, published_at)
SELECT 'order:' || o.id, step.version, 'order.changed', jsonb_build_object('order_id', o.id, 'state', step.to_state,
    'refund_state', 'NONE', 'version', step.version), o.created_at + step.after_s * interval '1 s',
    o.created_at + (step.after_s + 1) * interval '1 s'
FROM growth_order o JOIN {STEPS} ON step.recharged = o.recharged
""",
        """
INSERT INTO event (stream, position, type, payload, occurred_at, published_at)
SELECT 'arrivals:' || user_id, arrival, 'recharge.arrived', jsonb_build_object('order_id', id, 'card_id', card_id,
    'amount_fen', amount_fen), created_at + interval '24 s', created_at + interval '25 s'
FROM growth_order WHERE recharged
""",
        """
INSERT INTO event (stream, position, type, payload, occurred_at, published_at)
SELECT 'ledger:' || lpad(o.shard::text, 2, '0'), 2 * o.place - 1, 'ledger.posted', jsonb_build_object(
    'key', o.id || ':paid:1', 'user_id', o.user_id, 'order_id', o.id,
    'business_day', to_char((o.created_at + interval '15 s') AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD'),
    'lines', jsonb_build_array(jsonb_build_object('account', '{clearing}', 'amount_fen', o.amount_fen),
        jsonb_build_object('account', '{transit}', 'amount_fen', -o.amount_fen))),
    o.created_at + interval '15 s', o.created_at + interval '15 s'
FROM growth_order o WHERE o.recharged
""",
        """
INSERT INTO event (stream, position, type, payload, occurred_at, published_at)
SELECT 'ledger:' || lpad(o.shard::text, 2, '0'), 2 * o.place, 'ledger.posted', jsonb_build_object(
    'key', o.id || ':succeeded', 'user_id', o.user_id, 'order_id', o.id,
    'business_day', to_char((o.created_at + interval '24 s') AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD'),
    'lines', jsonb_build_array(jsonb_build_object('account', '{transit}', 'amount_fen', o.amount_fen),
        jsonb_build_object('account', '{prepaid}', 'amount_fen', -o.cost_fen),
        jsonb_build_object('account', '{commission}', 'amount_fen', o.cost_fen - o.amount_fen))),
    o.created_at + interval '24 s', o.created_at + interval '24 s'
FROM growth_order o WHERE o.recharged
""",
        """
INSERT INTO event (stream, position, type, payload, occurred_at, published_at)
SELECT 'ledger:' || lpad(shard::text, 2, '0'), 2 * orders_before + place, 'ledger.posted', jsonb_build_object(
    'key', id || ':topped_up', 'user_id', user_id, 'order_id', NULL,
    'business_day', to_char({ends_at} AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD'),
    'lines', jsonb_build_array(jsonb_build_object('account', '{clearing}', 'amount_fen', {top_up_fen}),
        jsonb_build_object('account', 'customer_prepaid:' || user_id, 'amount_fen', -{top_up_fen}))), {ends_at},
    {ends_at}
FROM growth_top_up
""",
    ),
)
STREAMS = Group(
    ("event_stream",),
    (
        "INSERT INTO event_stream (name, position) "
        "SELECT 'order:' || id, CASE WHEN recharged THEN 5 ELSE 2 END FROM growth_order",
        "INSERT INTO event_stream (name, position) "
        "SELECT 'arrivals:' || user_id, MAX(arrival) FROM growth_order WHERE recharged GROUP BY user_id",
        "INSERT INTO event_stream (name, position) "
        "SELECT 'ledger:' || lpad(shard::text, 2, '0'), MAX(position) FROM ledger_transaction GROUP BY shard",
    ),
)
LEDGER = Group(
    ("ledger_account", "ledger_transaction", "ledger_entry"),
    (
        """
INSERT INTO ledger_account (id, code, shard, balance_fen, version, created_at)
SELECT uuidv7({begins_at} - now()), part.code, part.shard, part.balance_fen, part.version, {begins_at}
FROM (SELECT o.shard, COUNT(*) AS count, SUM(o.amount_fen) AS amount_fen, SUM(o.cost_fen) AS cost_fen,
        COALESCE(MAX(paid_in.count), 0) AS topped_up
    FROM growth_order o LEFT JOIN (SELECT shard, COUNT(*) FROM growth_top_up GROUP BY shard) AS paid_in USING (shard)
    WHERE o.recharged GROUP BY o.shard) AS booked
CROSS JOIN LATERAL (VALUES
    ('{clearing}', booked.amount_fen + booked.topped_up * {top_up_fen}, booked.count + booked.topped_up),
    ('{transit}', 0, 2 * booked.count),
    ('{prepaid}', -booked.cost_fen, booked.count),
    ('{commission}', booked.cost_fen - booked.amount_fen, booked.count)
) AS account (code, balance_fen, version) CROSS JOIN LATERAL (SELECT account.*, booked.shard) AS part
""",
        "INSERT INTO ledger_account (id, code, shard, balance_fen, version, created_at) "
        "SELECT uuidv7({ends_at} - now()), 'customer_prepaid:' || user_id, shard, -{top_up_fen}, 1, "
        "{ends_at} FROM growth_top_up",
        """
INSERT INTO ledger_transaction (id, key, order_id, user_id, shard, position, line_count, occurred_at)
SELECT posting.id, o.id || posting.event, o.id, o.user_id, o.shard, posting.position, posting.line_count,
    o.created_at + posting.after
FROM growth_order o CROSS JOIN LATERAL (VALUES
    (o.paid_id, ':paid:1', 2 * o.place - 1, 2, interval '15 s'),
    (o.succeeded_id, ':succeeded', 2 * o.place, 3, interval '24 s')
) AS posting (id, event, position, line_count, after) WHERE o.recharged
""",
        "INSERT INTO ledger_transaction (id, key, user_id, shard, position, line_count, occurred_at) "
        "SELECT posting_id, id || ':topped_up', user_id, shard, 2 * orders_before + place, 2, {ends_at} "
        "FROM growth_top_up",
        """
INSERT INTO ledger_entry (id, transaction_id, account_id, line_number, line_count, amount_fen, account_version, user_id,
    shard, occurred_at)
SELECT {id:line.number:o.ms + line.after_s * 1000},
    CASE line.posting WHEN 'paid' THEN o.paid_id ELSE o.succeeded_id END, account.id, line.number, line.count, {AMOUNT},
    CASE line.account WHEN '{transit}' THEN {POSITION} ELSE o.place END, o.user_id, o.shard,
    o.created_at + line.after_s * interval '1 s'
FROM growth_order o CROSS JOIN {LINES}
JOIN ledger_account account ON account.code = line.account AND account.shard = o.shard WHERE o.recharged
""",
        """
INSERT INTO ledger_entry (id, transaction_id, account_id, line_number, line_count, amount_fen, account_version, user_id,
    shard, occurred_at)
SELECT uuidv7({ends_at} - now()), posting_id, account.id, line.number, 2, line.amount_fen, line.version,
    user_id, t.shard, {ends_at}
FROM growth_top_up t CROSS JOIN LATERAL (VALUES
    (1, '{clearing}', {top_up_fen}, orders_before + place),
    (2, 'customer_prepaid:' || user_id, -{top_up_fen}, 1)
) AS line (number, code, amount_fen, version)
JOIN ledger_account account ON account.code = line.code AND account.shard = t.shard
""",
    ),
)
JOURNAL = Group(
    ("finance_generation", "finance_cursor", "finance_journal"),
    (
        "INSERT INTO finance_generation (number, started_at, current_since) VALUES (1, {begins_at}, {begins_at})",
        """
INSERT INTO finance_journal (generation, stream, position, line_number, posting_key, order_id, user_id, shard, account,
    debit_fen, credit_fen, business_day, occurred_at)
SELECT 1, 'ledger:' || lpad(o.shard::text, 2, '0'), {POSITION}, line.number, o.id || ':' || line.event, o.id, o.user_id,
    o.shard, line.account, GREATEST({AMOUNT}, 0), GREATEST(-({AMOUNT}), 0),
    ((o.created_at + line.after_s * interval '1 s') AT TIME ZONE 'Asia/Shanghai')::date,
    o.created_at + line.after_s * interval '1 s'
FROM growth_order o CROSS JOIN {LINES} WHERE o.recharged
""",
        """
INSERT INTO finance_journal (generation, stream, position, line_number, posting_key, user_id, shard, account, debit_fen,
    credit_fen, business_day, occurred_at)
SELECT 1, 'ledger:' || lpad(shard::text, 2, '0'), 2 * orders_before + place, line.number, id || ':topped_up', user_id,
    shard, line.code, line.debit_fen, line.credit_fen, ({ends_at} AT TIME ZONE 'Asia/Shanghai')::date, {ends_at}
FROM growth_top_up CROSS JOIN LATERAL (VALUES
    (1, '{clearing}', {top_up_fen}, 0), (2, 'customer_prepaid:' || user_id, 0, {top_up_fen})
) AS line (number, code, debit_fen, credit_fen)
""",
        "INSERT INTO finance_cursor (generation, shard, stream, position, updated_at) "
        "SELECT 1, shard, stream, MAX(position), {ends_at} FROM finance_journal GROUP BY shard, stream",
    ),
)
PAYMENTS = Group(
    ("payment_attempt", "refund"),
    (
        """
INSERT INTO payment_attempt (id, order_id, user_id, number, channel, sub_mchid, out_trade_no, amount_fen, state,
    prepay_id, transaction_id, created_at, settled_at)
SELECT payment_id, id, user_id, 1, '{channel}', '{sub_mchid}', out_trade_no, amount_fen, 'PAID', 'wx' || out_trade_no,
    '42' || out_trade_no, created_at + interval '4 s', created_at + interval '15 s'
FROM growth_order WHERE recharged
""",
    ),
)
RECHARGES = Group(
    ("recharge_attempt",),
    (
        """
INSERT INTO recharge_attempt (id, order_id, user_id, number, issuer, issuer_order_id, state, cost_fen, submitted_at,
    settled_at)
SELECT recharge_id, id, user_id, 1, '{issuer}', 'IC' || replace(recharge_id::text, '-', ''), 'SUCCEEDED', cost_fen,
    created_at + interval '16 s', created_at + interval '24 s'
FROM growth_order WHERE recharged
""",
    ),
)
TOPPED_UP = Group(
    ("wallet_top_up",),
    (
        """
INSERT INTO wallet_top_up (id, user_id, channel, sub_mchid, out_trade_no, amount_fen, state, prepay_id, transaction_id,
    pay_deadline_at, created_at, settled_at)
SELECT id, user_id, '{channel}', '{sub_mchid}', number, {top_up_fen}, 'PAID', 'wx' || number, '42' || number,
    {ends_at} + interval '900 s', {ends_at}, {ends_at}
FROM growth_top_up CROSS JOIN LATERAL (SELECT 'W' || left(replace(id::text, '-', ''), 27)) AS named (number)
""",
    ),
)
KEYS = Group(
    ("idempotency_key",),
    (
        """
INSERT INTO idempotency_key (id, user_id, operation, key, input_hash, result_id, created_at)
SELECT {id:'9':o.ms + wish.after_s * 1000}, o.user_id, wish.operation,
    replace(o.paid_notice_id::text, '-', ''), encode(sha256(uuid_send(wish.result_id)), 'hex'), wish.result_id,
    o.created_at + wish.after_s * interval '1 s'
FROM growth_order o CROSS JOIN LATERAL (VALUES
    ('createRecharge', o.id, 0, true), ('payRecharge', o.payment_id, 4, o.recharged)
) AS wish (operation, result_id, after_s, uttered) WHERE wish.uttered
""",
    ),
)
NOTICES = Group(
    ("third_party_notice",),
    (
        """
INSERT INTO third_party_notice (id, source, notice_id, facts, received_at, applied_at)
SELECT paid_notice_id, '{channel}', payment_id::text, jsonb_build_object('kind', 'TradeFacts', 'facts',
    jsonb_build_object('mchid', '{mchid}', 'state', 'SUCCESS', 'app_id', '{app_id}', 'paid_at', created_at,
        'sub_mchid', '{sub_mchid}', 'amount_fen', amount_fen, 'out_trade_no', out_trade_no,
        'transaction_id', '42' || out_trade_no)), created_at + interval '15 s', created_at + interval '15 s'
FROM growth_order WHERE recharged
""",
        """
INSERT INTO third_party_notice (id, source, notice_id, facts, received_at, applied_at)
SELECT recharged_notice_id, '{issuer}', recharge_id::text, jsonb_build_object('kind', 'RechargeFacts', 'facts',
    jsonb_build_object('state', 'SUCCEEDED', 'reason', '', 'cost_fen', cost_fen, 'amount_fen', amount_fen,
        'attempt_id', recharge_id, 'issuer_order_id', 'IC' || replace(recharge_id::text, '-', ''))),
    created_at + interval '24 s', created_at + interval '24 s'
FROM growth_order WHERE recharged
""",
    ),
)
WORK = Group(
    ("job", "job_intervention"),
    (
        """
INSERT INTO job (id, kind, key, payload, due_at, attempts, failures, claims, created_at, done_at)
SELECT {id:work.number:o.ms + work.made_s * 1000}, work.kind, work.key,
    jsonb_build_object(work.subject, work.subject_id), o.created_at + work.due_s * interval '1 s', 0, 0, 0,
    o.created_at + work.made_s * interval '1 s', o.created_at + (work.due_s + 1) * interval '1 s'
FROM growth_order o CROSS JOIN LATERAL (VALUES
    (true, 1, 'expire_order', o.id::text, 'order_id', o.id::text, 0, 900),
    (o.recharged, 2, 'query_payment', o.out_trade_no, 'out_trade_no', o.out_trade_no, 4, 19),
    (o.recharged, 3, 'apply_notice', '{channel}:' || o.payment_id, 'notice_id', o.paid_notice_id::text, 15, 15),
    (o.recharged, 4, 'submit_recharge', o.id::text, 'order_id', o.id::text, 15, 15),
    (o.recharged, 5, 'query_recharge', o.recharge_id::text, 'attempt_id', o.recharge_id::text, 16, 31),
    (o.recharged, 6, 'apply_notice', '{issuer}:' || o.recharge_id, 'notice_id', o.recharged_notice_id::text, 24, 24)
) AS work (needed, number, kind, key, subject, subject_id, made_s, due_s)
WHERE work.needed AND o.created_at >= {kept_since}
""",
    ),
)
# The orders are there before anything that refers to them is emptied, because emptying them empties that as well.
FIRST = (USERS, RECHARGE_ORDERS)
# The largest come first, so that several connections end at about the same time; heads are read off the ledger.
THEN = (EVENTS, STORIES, JOURNAL, LEDGER, NOTICES, KEYS, WORK, PAYMENTS, RECHARGES, TOPPED_UP)
LAST = (STREAMS,)
