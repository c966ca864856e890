// Every statement that the peers in JavaScript send. Each has a name, under which a driver prepares it once.
const STATION_COLUMNS = 'id, name, brand, address, province, city, district, latitude, longitude, zone_id';

export const STATION = { name: 'station', text: `SELECT ${STATION_COLUMNS} FROM station WHERE id = $1` };

export const ZONES = {
  name: 'zones',
  text: 'SELECT id, province_code, province_name, code, name FROM price_zone WHERE id = ANY($1::uuid[])',
};

export const PRICES = {
  name: 'prices',
  text: `SELECT DISTINCT ON (zone_id, product)
      id, zone_id, product, milliyuan_per_litre, effective_from, source, source_url
    FROM price WHERE zone_id = ANY($1::uuid[]) AND effective_from <= now()
    ORDER BY zone_id, product, effective_from DESC`,
};

// The database looks for what is near and sorts it, so the server's process is not charged for it.
export const NEAREST = {
  name: 'nearest',
  text: `SELECT * FROM (
      SELECT ${STATION_COLUMNS}, 2 * 6371008.8 * asin(sqrt(
        sin(radians(latitude - $1::float8) / 2) ^ 2
        + cos(radians($1::float8)) * cos(radians(latitude)) * sin(radians(longitude - $2::float8) / 2) ^ 2
      )) AS distance
      FROM station
      WHERE latitude BETWEEN $1::float8 - $4::float8 AND $1::float8 + $4::float8
        AND longitude BETWEEN $2::float8 - $5::float8 AND $2::float8 + $5::float8
    ) AS candidate
    WHERE distance <= $3::float8 ORDER BY round(distance * 1000), id LIMIT $6::int`,
};

export const USER = { name: 'user', text: 'SELECT id, display_name, created_at FROM user_account WHERE id = $1' };

export const WALLET = { name: 'wallet', text: 'SELECT balance_fen FROM ledger_account WHERE code = $1' };

export const ORDERS = {
  name: 'orders',
  text: `SELECT id, card_id, state, amount_fen, failure_kind, refund_state, pay_deadline_at, created_at
    FROM recharge_order WHERE user_id = $1 ORDER BY id DESC LIMIT $2`,
};

export const ORDER = {
  name: 'order',
  text: `SELECT id, card_id, state, amount_fen, failure_kind, refund_state, pay_deadline_at, created_at
    FROM recharge_order WHERE id = $1`,
};

export const CARDS = {
  name: 'cards',
  text: 'SELECT id, brand, number_tail FROM fuel_card WHERE id = ANY($1::uuid[])',
};

export const LOCK_USER = { name: 'lock_user', text: 'SELECT id FROM user_account WHERE id = $1 FOR UPDATE' };

// A statement of its own behind the lock: one that had begun before would not see what the lock waited for. With the
// states in a condition, PostgreSQL reads the unpaid orders of all users.
export const FACTS = {
  name: 'facts',
  text: `SELECT known.input_hash, known.result_id, card.id AS card_id, card.brand, card.number_tail,
      (SELECT count(*) FROM (VALUES ('PENDING_PAYMENT'), ('PAYING')) AS open (state)
        JOIN recharge_order AS mine ON mine.user_id = $1 AND mine.state = open.state) AS unpaid,
      (SELECT coalesce(sum(amount_fen), 0) FROM recharge_order
        WHERE user_id = $1 AND created_at >= $4 AND state <> 'FAILED') AS spent_fen
    FROM (SELECT 1) AS one
    LEFT JOIN idempotency_key AS known ON known.user_id = $1 AND known.operation = 'createRecharge' AND known.key = $2
    LEFT JOIN fuel_card AS card ON card.user_id = $1 AND card.id = $3`,
};

export const WRITE_ORDER = {
  name: 'write_order',
  text: `WITH made AS (
      INSERT INTO recharge_order (id, user_id, card_id, amount_fen, price_fen, state, version, refund_state,
        review_state, pay_deadline_at, created_at, updated_at)
      VALUES ($1, $2, $3, $4, $4, 'PENDING_PAYMENT', 1, 'NONE', 'NONE', $5, $6, $6)
      RETURNING id, card_id, state, amount_fen, failure_kind, refund_state, pay_deadline_at, created_at
    ), remembered AS (
      INSERT INTO idempotency_key (id, user_id, operation, key, input_hash, result_id, created_at)
      VALUES ($7, $2, 'createRecharge', $8, $9, $1, $6)
    ), step AS (
      INSERT INTO order_transition (id, order_id, user_id, version, rule, trigger, from_state, to_state, actor, reason,
        request_id, occurred_at)
      VALUES ($10, $1, $2, 1, 1, 'CREATE', NULL, 'PENDING_PAYMENT', $11, '', $12, $6)
    ), head AS (
      INSERT INTO event_stream (name, position) VALUES ($13, 1)
    ), told AS (
      INSERT INTO event (stream, position, type, payload, occurred_at)
      VALUES ($13, 1, 'order.changed', jsonb_build_object('order_id', $1::text, 'state', 'PENDING_PAYMENT', 'version', 1),
        $6)
    ), work AS (
      INSERT INTO job (id, kind, key, payload, due_at, attempts, created_at)
      VALUES ($14, 'expire_order', $1::text, jsonb_build_object('order_id', $1::text), $5, 0, $6)
    )
    SELECT * FROM made`,
};
