// The peer in JavaScript: graphql-ws on ws, as its documentation shows it.
import { createServer } from 'node:http';
import { buildSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

const FIRST_MILLIYUAN = Number(process.env.FIRST_MILLIYUAN);
const SOURCE = process.env.SOURCE;

const schema = buildSchema(`
  type UnitPrice { milliyuan: Int! text: String! }
  type Price { product: String! unitPrice: UnitPrice! effectiveFrom: String! source: String! }
  type PriceChangeEvent { cursor: String! price: Price! previous: UnitPrice }
  type Query { hello: String! }
  type Subscription { priceChanges: PriceChangeEvent! }
`);

const unitPrice = (milliyuan) => ({ milliyuan, text: `¥${(milliyuan / 1000).toFixed(3)}/L` });
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
      while (waiting.length > 0) {
        const number = waiting.shift();
        yield {
          priceChanges: {
            cursor: `prices:${number}`,
            price: {
              product: 'GASOLINE_92',
              unitPrice: unitPrice(FIRST_MILLIYUAN + number),
              effectiveFrom: new Date().toISOString(),
              source: SOURCE,
            },
            previous: unitPrice(FIRST_MILLIYUAN - 1),
          },
        };
      }
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
useServer({ schema, roots: { subscription: { priceChanges } } }, sockets);
// The benchmark's end closes the pipe, and takes this process along.
process.stdin.on('end', () => process.exit(0)).resume();
server.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: 4096 });
