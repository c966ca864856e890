// The two PostgreSQL drivers behind one interface: prepared statements, a pool, and transactions on one connection.
import pg from 'pg';
import postgres from 'postgres';

const INT8 = 20;
const NUMERIC = 1700;
const IDLE_TIMEOUT_S = 600;

function openPg(url, max) {
  // Sums and amounts are far below what a double counts exactly.
  pg.types.setTypeParser(INT8, Number);
  pg.types.setTypeParser(NUMERIC, Number);
  const pool = new pg.Pool({
    connectionString: url,
    max,
    idleTimeoutMillis: IDLE_TIMEOUT_S * 1000,
    // Statements of a transaction that need not wait for each other go out together, as postgres.js has it anyway.
    pipeline: true,
  });
  const rowsOf = (client) => async ({ name, text }, values) => (await client.query({ name, text, values })).rows;
  return {
    rows: rowsOf(pool),
    async transaction(work) {
      const client = await pool.connect();
      try {
        await client.query('BEGIN');
        const result = await work(rowsOf(client));
        await client.query('COMMIT');
        client.release();
        return result;
      } catch (error) {
        await client.query('ROLLBACK').catch(() => client.release(true));
        client.release();
        throw error;
      }
    },
  };
}

function openPostgres(url, max) {
  const asNumber = (oid) => ({ to: oid, from: [oid], serialize: String, parse: Number });
  const sql = postgres(url, {
    max,
    idle_timeout: IDLE_TIMEOUT_S,
    types: { bigint: asNumber(INT8), numeric: asNumber(NUMERIC) },
    onnotice: () => {},
  });
  const rowsOf = (client) => ({ text }, values) => client.unsafe(text, values, { prepare: true });
  return { rows: rowsOf(sql), transaction: (work) => sql.begin((client) => work(rowsOf(client))) };
}

export function openDriver() {
  const open = { pg: openPg, postgres: openPostgres }[process.env.PG_DRIVER];
  return open(process.env.DATABASE_URL, Number(process.env.PG_POOL_MAX));
}
