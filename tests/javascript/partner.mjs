// The TypeScript client, compiled, plays a partner; it tells what happens, line by line.

import { WebSocket } from "ws";
import * as youka from "./client/dist/index.js";

const [given] = process.argv.slice(2).map(JSON.parse);
const tell = (what, value = null) => console.log(JSON.stringify({ what, value }));
const sockets = [];
class Watched extends WebSocket {
  constructor(...options) {
    super(...options);
    sockets.push(this);
  }
}
const tokens = new youka.ClientCredentials(given.client, given.key);
const options = { tokens, locale: "en", retry: { baseMs: 20 } };
const client = new youka.YoukaClient(given.url, { ...options, webSocket: Watched });

const bound = await client.run(youka.bindCard, { number: given.card });
const refused = await client.run(youka.createRecharge, { card: bound.card.id, amount: "0.001" });
tell("refused", [refused.code, youka.isRefusal(refused)]);

async function recharge() {
  const key = youka.newKey();
  const variables = { card: bound.card.id, amount: "100.00", key };
  const created = await client.run(youka.createRecharge, variables);
  const again = await client.run(youka.createRecharge, variables);
  const paid = await client.run(youka.payRecharge, { order: created.order.id });
  await fetch(`${given.sandbox}/control/pay`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ package: paid.payment.package }),
  });
  return [created.order.id, created.order.id === again.order.id];
}

const events = client.subscribe(youka.arrivals, {});
const first = events.next();
await new Promise((resolve) => setTimeout(resolve, 500));
const [order, same] = await recharge();
const arrived = (await first).value;
tell("arrived", [arrived.__typename, arrived.notice.order.id === order, same]);

// The network breaks; what arrives meanwhile is not missed.
const second = events.next();
sockets.at(-1).terminate();
const [other] = await recharge();
tell("resumed", [(await second).value.notice.order.id === other, sockets.length]);
await events.return();

try {
  await new youka.YoukaClient(given.url, { locale: "en" }).run(youka.order, { order });
} catch (error) {
  tell("failed", [error instanceof youka.OperationFailed, error.code]);
}

// A server that is full, one that breaks, and one that does not know the hash.
const asked = [];
const script = [
  [429, { errors: [{ message: "slow down", extensions: { code: "RATE_LIMITED", retryAfterMs: 30 } }] }],
  [500, { errors: [{ message: "oops", extensions: { code: "INTERNAL" } }] }],
  [200, { errors: [{ message: "who?", extensions: { code: "PERSISTED_QUERY_NOT_FOUND" } }] }],
];
const faulty = async (url, init) => {
  if (!url.endsWith("/graphql")) return fetch(url, init);
  asked.push(JSON.parse(init.body));
  const [status, body] = script.shift() ?? [];
  return status ? new Response(JSON.stringify(body), { status }) : fetch(url, init);
};
const careful = new youka.YoukaClient(given.url, { ...options, fetch: faulty });
const created = await careful.run(youka.createRecharge, { card: bound.card.id, amount: "100.00" });
const keys = new Set(asked.map((each) => each.variables.key));
tell("retried", [created.__typename, asked.length, keys.size, asked.map((each) => "query" in each)]);

script.push([500, { errors: [{ message: "oops", extensions: { code: "INTERNAL" } }] }]);
try {
  await careful.run(youka.deleteWebhook, { webhook: "w" });
} catch (error) {
  tell("not repeated", [error instanceof youka.ServerUnavailable, asked.length]);
}
