// graphql-yoga on Node's own HTTP server, with data loaders for relations; it keeps parsed and validated documents.
import { createServer } from 'node:http';
import DataLoader from 'dataloader';
import { createSchema, createYoga } from 'graphql-yoga';
import * as domain from './domain.mjs';
import { shared } from './resolvers.mjs';
import { typeDefs, userIdOf } from './schema.mjs';

const resolvers = {
  ...shared,
  Station: {
    zone: (station, _, { zones }) => zones.load(station.zone_id),
    prices: (station, _, { prices }) => prices.load(station.zone_id),
  },
  Order: { card: (order, _, { cards }) => order.card ?? cards.load(order.cardId) },
};

const yoga = createYoga({
  schema: createSchema({ typeDefs, resolvers }),
  graphiql: false,
  landingPage: false,
  logging: false,
  healthCheckEndpoint: '/readyz',
  context: ({ request }) => ({
    userId: userIdOf(request.headers.get('authorization')),
    zones: new DataLoader(domain.zonesByIds),
    prices: new DataLoader(domain.pricesByZones),
    cards: new DataLoader(domain.cardsByIds),
  }),
});

// The benchmark's end closes the pipe, and takes this process along.
process.stdin.on('end', () => process.exit(0)).resume();
createServer(yoga).listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: 4096 });
