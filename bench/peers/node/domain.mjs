// What the peers in JavaScript answer from, whatever the framework: reads by key, for loaders, and the recharge.
import { createHash } from 'node:crypto';
import { v4, v7 } from 'uuid';
import { openDriver } from './drivers.mjs';
import * as sql from './statements.mjs';

const METRES_PER_DEGREE = 111_000;
const DAY_MS = 86_400_000;
// Business days are those of Asia/Shanghai, which has had no summer time since 1991.
const SHANGHAI_MS = 8 * 3_600_000;
const UNPAID_MAX = Number(process.env.YOUKA_UNPAID_ORDERS_PER_USER_MAX);
const DAILY_MAX_FEN = Number(process.env.YOUKA_RECHARGE_DAILY_MAX_FEN);
const DEADLINE_MS = Number(process.env.YOUKA_PAYMENT_DEADLINE_S) * 1000;
const AMOUNT_MIN_FEN = 1_000;
const AMOUNT_MAX_FEN = 500_000;
const PRODUCTS = ['89', '92', '95', '98', '0'];
const PRODUCT_NAMES = {
  89: 'GASOLINE_89', 92: 'GASOLINE_92', 95: 'GASOLINE_95', 98: 'GASOLINE_98', 0: 'DIESEL_0',
};

const driver = openDriver();

const globalId = (type, id) => Buffer.from(`${type}:${id}`).toString('base64url');
const keyOf = (id) => {
  const text = Buffer.from(id, 'base64url').toString();
  return text.slice(text.indexOf(':') + 1);
};

const yuanOf = (fen) => (fen / 100).toFixed(2);
const money = (fen) => {
  const yuan = yuanOf(Math.abs(fen));
  const sign = fen < 0 ? '-' : '';
  return { fen, yuan: sign + yuan, text: `${sign}¥${yuan.replace(/\B(?=(\d{3})+\.)/g, ',')}` };
};

const station = (row) => ({
  ...row,
  id: globalId('Station', row.id),
  location: { latitude: row.latitude, longitude: row.longitude },
});

const zone = (row) => ({
  id: globalId('PriceZone', row.id),
  provinceCode: row.province_code,
  provinceName: row.province_name,
  code: row.code,
  name: row.name,
});

const price = (row) => {
  const milliyuan = row.milliyuan_per_litre;
  const yuan = (milliyuan / 1000).toFixed(3).replace(/0$/, '');
  return {
    id: globalId('Price', row.id),
    product: PRODUCT_NAMES[row.product],
    unitPrice: { milliyuan, yuan, text: `¥${yuan}/L` },
    effectiveFrom: row.effective_from,
    source: row.source,
    sourceUrl: row.source_url,
  };
};

const card = (row) => ({ id: globalId('Card', row.id), brand: row.brand, maskedNumber: `**** ${row.number_tail}` });

const order = (row) => ({
  id: globalId('Order', row.id),
  cardId: row.card_id,
  state: row.state,
  amount: money(row.amount_fen),
  failureKind: row.failure_kind,
  refundState: row.refund_state,
  payDeadlineAt: row.pay_deadline_at,
  createdAt: row.created_at,
});

const distinct = (keys) => [...new Set(keys)];

async function inOrder(statement, keys, made) {
  const found = new Map();
  for (const row of await driver.rows(statement, [distinct(keys)])) found.set(row.id, made(row));
  return keys.map((key) => found.get(key) ?? null);
}

export const zonesByIds = (ids) => inOrder(sql.ZONES, ids, zone);
export const cardsByIds = (ids) => inOrder(sql.CARDS, ids, card);

export async function pricesByZones(zoneIds) {
  const found = new Map();
  for (const row of await driver.rows(sql.PRICES, [distinct(zoneIds)])) {
    if (!found.has(row.zone_id)) found.set(row.zone_id, []);
    found.get(row.zone_id).push(row);
  }
  for (const [id, rows] of found) {
    rows.sort((one, other) => PRODUCTS.indexOf(one.product) - PRODUCTS.indexOf(other.product));
    found.set(id, rows.map(price));
  }
  return zoneIds.map((id) => found.get(id) ?? []);
}

export async function stationById(id) {
  const [row] = await driver.rows(sql.STATION, [keyOf(id)]);
  return row ? station(row) : null;
}

export async function nearest({ near, radius, first }) {
  const height = radius / METRES_PER_DEGREE;
  const width = height / Math.cos((near.latitude * Math.PI) / 180);
  const rows = await driver.rows(sql.NEAREST, [near.latitude, near.longitude, radius, height, width, first + 1]);
  return {
    edges: rows.slice(0, first).map((row) => ({ distance: Math.round(row.distance), node: station(row) })),
    pageInfo: { hasNextPage: rows.length > first },
  };
}

export async function viewerById(userId) {
  if (userId === null) return null;
  const [row] = await driver.rows(sql.USER, [userId]);
  if (!row) return null;
  const profile = { id: globalId('Profile', row.id), displayName: row.display_name, registeredAt: row.created_at };
  return { userId, profile };
}

export async function walletOf(userId) {
  const [row] = await driver.rows(sql.WALLET, [`customer_prepaid:${userId}`]);
  return { balance: money(row ? -row.balance_fen : 0) };
}

export async function ordersOf(userId, first) {
  const rows = await driver.rows(sql.ORDERS, [userId, first + 1]);
  return {
    edges: rows.slice(0, first).map((row) => ({ node: order(row) })),
    pageInfo: { hasNextPage: rows.length > first },
  };
}

const refused = (code, message) => ({ __typename: 'RechargeRefused', code, message });
const success = (made) => ({ __typename: 'CreateRechargeSuccess', order: made });

function startOfBusinessDay(now) {
  return new Date(Math.floor((now.getTime() + SHANGHAI_MS) / DAY_MS) * DAY_MS - SHANGHAI_MS);
}

export async function createRecharge(userId, { cardId, amount, idempotencyKey }) {
  if (userId === null) throw new Error('sign in first');
  if (amount < AMOUNT_MIN_FEN || amount > AMOUNT_MAX_FEN) {
    return refused('AMOUNT_OUT_OF_RANGE', 'The amount is out of range');
  }
  const now = new Date();
  const inputHash = createHash('sha256').update(`${cardId}:${amount}`).digest('hex');
  return driver.transaction(async (rows) => {
    // A driver that can send one behind the other does, without waiting for the first answer.
    const [, [facts]] = await Promise.all([
      rows(sql.LOCK_USER, [userId]),
      rows(sql.FACTS, [userId, idempotencyKey, keyOf(cardId), startOfBusinessDay(now)]),
    ]);
    if (facts.input_hash !== null && facts.input_hash !== inputHash) {
      return refused('IDEMPOTENCY_CONFLICT', 'The key was used with another input');
    }
    if (facts.input_hash !== null) {
      const [known] = await rows(sql.ORDER, [facts.result_id]);
      return success(order(known));
    }
    if (facts.card_id === null) return refused('CARD_NOT_FOUND', 'There is no such card');
    if (facts.unpaid >= UNPAID_MAX || facts.spent_fen + amount > DAILY_MAX_FEN) {
      return refused('LIMIT_REACHED', 'A limit was reached');
    }
    const id = v7();
    const deadline = new Date(now.getTime() + DEADLINE_MS);
    const [made] = await rows(sql.WRITE_ORDER, [
      id, userId, facts.card_id, amount, deadline, now, v7(), idempotencyKey, inputHash, v7(), `user:${userId}`, v4(),
      `order:${id}`, v7(),
    ]);
    // The card is known here, so nobody needs to load it again.
    return success({ ...order(made), card: card({ ...facts, id: facts.card_id }) });
  });
}
