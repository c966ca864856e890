// The clients that others have written, each played by a scenario: `node scenarios.mjs NAME JSON`.
// What happens is printed as lines of JSON; the Python test that started the scenario answers on standard input.
import readline from "node:readline";
import { createClient as createSocketClient } from "graphql-ws";
import { createClient as createEventsClient } from "graphql-sse";
import { EventSource } from "eventsource";
import { auditServer } from "graphql-http";
import WebSocket from "ws";

const tell = (what, value) => process.stdout.write(JSON.stringify({ what, value }) + "\n");
const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const told = async () => JSON.parse((await answers.next()).value);

const collect = (client, payload, onNext = () => {}) =>
  new Promise((resolve) => {
    const results = [];
    client.subscribe(payload, {
      next: (result) => {
        results.push(result);
        onNext(result);
      },
      error: (error) => resolve({ results, error: Array.isArray(error) ? error : { code: error.code, reason: error.reason, message: String(error.message ?? error) } }),
      complete: () => resolve({ results }),
    });
  });

const socketClient = (url, options = {}) =>
  createSocketClient({ url: `ws://${url}/graphql`, webSocketImpl: WebSocket, lazy: true, retryAttempts: 0, ...options });

const scenarios = {
  // Everything over one socket of graphql-ws.
  async socket({ url, token }) {
    let sockets = 0;
    const client = socketClient(url, { connectionParams: { Authorization: token, locale: "en" } });
    client.on("connected", () => (sockets += 1));
    const documents = [
      { query: "{ whoami hello }" },
      { query: "mutation { count }" },
      { query: "subscription S($to: Int!) { ticks(to: $to) }", variables: { to: 3 } },
      { query: "{ unknown }" },
      { query: "subscription { locked }" },
    ];
    tell("results", await Promise.all(documents.map((each) => collect(client, each))));
    tell("sockets", sockets);
    await client.dispose();
  },

  // graphql-ws comes back by itself; the variables of its request hold the last cursor.
  async resume({ url, query }) {
    const client = socketClient(url, {
      retryAttempts: 50,
      shouldRetry: () => true,
      retryWait: () => new Promise((resolve) => setTimeout(resolve, 20)),
    });
    client.on("connected", (_socket, _payload, wasRetry) => tell("connected", wasRetry));
    const variables = { after: null };
    await collect(client, { query, variables }, (result) => {
      variables.after = result.data.journal.cursor;
      tell("number", result.data.journal.number);
    });
  },

  // A newer token goes into a ping; the answer is in the pong, and the subscription outlives the first token.
  async renew({ url, token, newer }) {
    const client = socketClient(url, { connectionParams: { authorization: token } });
    client.on("connected", (socket) => {
      setTimeout(() => socket.send(JSON.stringify({ type: "ping", payload: { authorization: newer } })), 100);
    });
    client.on("pong", (received, payload) => received && tell("pong", payload));
    client.on("closed", (event) => tell("closed", { code: event.code, reason: event.reason }));
    client.subscribe(
      { query: "subscription { ticks(to: 1000, everyS: 0.2) }" },
      { next: (result) => tell("tick", result.data.ticks), error: (error) => tell("error", String(error)), complete() {} },
    );
    await told();
    await client.dispose();
  },

  // The code with which a connection is closed, as the client reports it.
  async refused({ url, params }) {
    const client = socketClient(url, { connectionParams: params });
    client.on("closed", (event) => tell("closed", { code: event.code, reason: event.reason }));
    tell("outcome", await collect(client, { query: "{ hello }" }));
  },

  // Frames by hand over the `ws` package, for what a client of good will does not do.
  async raw({ url, protocols, frames }) {
    const socket = new WebSocket(`ws://${url}/graphql`, protocols);
    await new Promise((resolve) => {
      socket.on("open", () => frames.forEach((frame) => socket.send(JSON.stringify(frame))));
      socket.on("error", (error) => tell("error", String(error)));
      socket.on("close", (code, reason) => {
        tell("closed", { code, reason: reason.toString() });
        resolve();
      });
    });
  },

  // graphql-sse in distinct connections mode.
  async events({ url, token }) {
    const client = createEventsClient({ url: `http://${url}/graphql`, headers: { Authorization: token }, retryAttempts: 0 });
    const documents = [
      { query: "{ whoami }" },
      { query: "mutation { count }" },
      { query: "subscription S($to: Int!) { ticks(to: $to) }", variables: { to: 3 } },
      { query: "{ unknown }" },
    ];
    const results = [];
    for (const each of documents) results.push(await collect(client, each));
    tell("results", results);
    client.dispose();
  },

  // EventSource comes back with Last-Event-ID, to the address that it began with.
  async source({ url, query, after }) {
    const parameters = new URLSearchParams({ query, variables: JSON.stringify({ after }) });
    const source = new EventSource(`http://${url}/graphql?${parameters}`);
    source.addEventListener("open", () => tell("connected", true));
    source.addEventListener("next", (event) => tell("number", JSON.parse(event.data).data.journal.number));
    source.addEventListener("complete", () => tell("complete", true));
    await told();
    source.close();
  },

  // The audits of GraphQL over HTTP: what the server must, should and may do.
  async audits({ url }) {
    const results = await auditServer({ url: `http://${url}/graphql` });
    tell("audits", results.map(({ id, name, status, reason }) => ({ id, name, status, reason })));
  },
};

const [name, given] = process.argv.slice(2);
await scenarios[name](JSON.parse(given));
process.exit(0);
