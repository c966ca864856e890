// mercurius with its compiled operations and its batching loaders, on fastify.
import Fastify from 'fastify';
import mercurius from 'mercurius';
import * as domain from './domain.mjs';
import { shared } from './resolvers.mjs';
import { typeDefs, userIdOf } from './schema.mjs';

// The loaders' own cache would serialise each station to find it again; what is asked for twice is asked once below.
const opts = { cache: false };
const batched = (load, key) => ({
  loader: (queries) => load(queries.map(({ obj }) => obj[key])),
  opts,
});

async function cards(queries) {
  const missing = queries.filter(({ obj }) => !obj.card);
  const found = missing.length > 0 ? await domain.cardsByIds(missing.map(({ obj }) => obj.cardId)) : [];
  const byOrder = new Map(missing.map(({ obj }, place) => [obj, found[place]]));
  return queries.map(({ obj }) => obj.card ?? byOrder.get(obj));
}

const loaders = {
  Station: { zone: batched(domain.zonesByIds, 'zone_id'), prices: batched(domain.pricesByZones, 'zone_id') },
  Order: { card: { loader: cards, opts } },
};
const typeOf = { resolveType: (value) => value.__typename };

const app = Fastify();
app.register(mercurius, {
  schema: typeDefs,
  resolvers: { ...shared, CreateRechargePayload: typeOf, UserError: typeOf },
  loaders,
  jit: 1,
  context: (request) => ({ userId: userIdOf(request.headers.authorization) }),
});
app.get('/readyz', () => 'ready');
// The benchmark's end closes the pipe, and takes this process along.
process.stdin.on('end', () => process.exit(0)).resume();
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });
