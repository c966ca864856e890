// mercurius's own subscriptions, by its emitter in memory.
import Fastify from 'fastify';
import mercurius from 'mercurius';
import { PORT, PUBLISH_PATH, READY_PATH, eventOf, typeDefs } from './fanout-events.mjs';

const TOPIC = 'prices';

const app = Fastify();
app.register(mercurius, {
  schema: typeDefs,
  resolvers: {
    Query: { hello: () => 'hello' },
    Subscription: { priceChanges: { subscribe: (_, __, { pubsub }) => pubsub.subscribe(TOPIC) } },
  },
  jit: 1,
  subscription: true,
});
app.get(READY_PATH, () => 'ready');
app.post(PUBLISH_PATH, async ({ body: { number } }) => {
  app.graphql.pubsub.publish({ topic: TOPIC, payload: eventOf(number) });
  return { number };
});
// The benchmark's end closes the pipe, and takes this process along.
process.stdin.on('end', () => process.exit(0)).resume();
await app.listen({ port: PORT, host: '127.0.0.1', backlog: 4096 });
