// graphql-ws on ws, as its documentation shows it.
import { createServer } from 'node:http';
import { buildSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { PORT, eventOf, typeDefs } from './fanout-events.mjs';

const subscribers = new Set();

async function* priceChanges() {
  const waiting = [];
  let wake = null;
  const take = (number) => {
    waiting.push(number);
    wake?.();
  };
  subscribers.add(take);
  try {
    while (true) {
      while (waiting.length > 0) yield eventOf(waiting.shift());
      await new Promise((resolve) => { wake = resolve; });
      wake = null;
    }
  } finally {
    subscribers.delete(take);
  }
}

const server = createServer((request, response) => {
  if (request.method !== 'POST') {
    response.end('ready');
    return;
  }
  let body = '';
  request.on('data', (chunk) => { body += chunk; });
  request.on('end', () => {
    const { number } = JSON.parse(body);
    for (const take of subscribers) take(number);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ number }));
  });
});

const sockets = new WebSocketServer({ server, path: '/graphql', perMessageDeflate: false });
useServer({ schema: buildSchema(typeDefs), roots: { subscription: { priceChanges } } }, sockets);
// The benchmark's end closes the pipe, and takes this process along.
process.stdin.on('end', () => process.exit(0)).resume();
server.listen({ port: PORT, host: '127.0.0.1', backlog: 4096 });
