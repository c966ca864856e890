// One subscription over graphql-transport-ws, which goes on where it stood when its connection is lost.
// https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md

import { OperationFailed, StreamEnded, codeOf } from "./errors.js";
import { NOT_EXECUTED, retryAfterMs, sleep, waitMs, type Retry, type Trouble } from "./retrying.js";
import type { GraphQLError, Operation } from "./wire.js";

const SUBPROTOCOL = "graphql-transport-ws";
const ID = "1";
const NOT_SIGNED_IN = 4403;
/** Its programmer has to look: another try would end in the same way. */
const HOPELESS: ReadonlySet<number> = new Set([1007, 1009, 4400, 4401, 4406, 4409]);
/** The server says something in every interval of 25 s. */
const SILENCE_MAX_MS = 60_000;

/** The little of a WebSocket that is used. */
export interface Socket {
  onopen: ((event: never) => unknown) | null;
  onmessage: ((event: never) => unknown) | null;
  onclose: ((event: never) => unknown) | null;
  onerror: ((event: never) => unknown) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export type SocketMaker = new (url: string, protocol: string) => Socket;

export interface Line {
  readonly url: string;
  readonly token: (refused?: string) => Promise<string | undefined>;
  readonly locale: string;
  readonly retry: Retry;
  readonly webSocket: SocketMaker;
}

interface Message {
  readonly type: string;
  readonly payload?: never;
}

type Heard = Message | { readonly type: "closed"; readonly code: number; readonly reason: string };

/** The connection is over, and a new one may go on. */
class Interrupted extends Error {
  constructor(
    readonly trouble: Trouble,
    readonly signedOut = false,
  ) {
    super(trouble.reason);
  }
}

/** What a stream knows beyond its connections. */
interface Standing {
  cursor: string | undefined;
  named: boolean;
  reconnectAfterMs: number | undefined;
}

export async function* events<Answer>(
  operation: Operation<Answer, never>,
  variables: Record<string, unknown>,
  line: Line,
): AsyncGenerator<Answer, void, undefined> {
  const standing: Standing = {
    cursor: variables["after"] as string | undefined,
    named: true,
    reconnectAfterMs: undefined,
  };
  let refused: string | undefined;
  for (let failures = 0; ; ) {
    const token = await line.token(refused);
    refused = undefined;
    let trouble: Trouble;
    try {
      for await (const event of connection<Answer>(operation, variables, line, standing, token)) {
        failures = 0;
        yield event;
      }
      return;
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      trouble = error.trouble;
      // A token that was refused is not tried again.
      refused = error.signedOut ? token : undefined;
    }
    const wait = waitMs(line.retry, ++failures, trouble);
    if (failures >= line.retry.attemptsMax || wait > line.retry.waitMaxMs) {
      throw new StreamEnded(trouble.reason, standing.cursor);
    }
    await sleep(wait);
  }
}

async function* connection<Answer>(
  operation: Operation<Answer, never>,
  variables: Record<string, unknown>,
  line: Line,
  standing: Standing,
  token: string | undefined,
): AsyncGenerator<Answer, void, undefined> {
  const socket = new line.webSocket(line.url, SUBPROTOCOL);
  const heard = listen(socket, () => {
    const payload = { locale: line.locale, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
    say(socket, { type: "connection_init", payload });
  });
  const subscribe = (): void => {
    const document = standing.named ? { documentId: `sha256:${operation.sha256}` } : { query: operation.text };
    const after = standing.cursor === undefined ? {} : { after: standing.cursor };
    say(socket, { id: ID, type: "subscribe", payload: { ...document, variables: { ...variables, ...after } } });
  };
  try {
    for (;;) {
      const message = await heard();
      switch (message.type) {
        case "connection_ack":
          subscribe();
          break;
        case "next":
          yield eventOf<Answer>(operation, standing, message.payload as never);
          break;
        case "error":
          if (refusal(message.payload as never, standing)) subscribe();
          break;
        case "complete":
          return;
        case "ping":
          await answerPing(socket, message.payload, line, standing, token);
          break;
        case "closed":
          throw over(message as Extract<Heard, { code: number }>, standing);
      }
    }
  } finally {
    socket.onclose = socket.onmessage = null;
    socket.close(1000, "done");
  }
}

/** Returns a function that waits for the next message, or for the end of the connection. */
function listen(socket: Socket, opened: () => void): () => Promise<Heard> {
  const waiting: Heard[] = [];
  let wake: (() => void) | undefined;
  const hear = (message: Heard): void => {
    waiting.push(message);
    wake?.();
  };
  socket.onopen = opened;
  socket.onmessage = (event: { data: unknown }) => hear(JSON.parse(String(event.data)) as Message);
  socket.onclose = (event: { code: number; reason: string }) =>
    hear({ type: "closed", code: event.code, reason: event.reason });
  // What went wrong is said by the close that follows.
  socket.onerror = () => undefined;
  return async () => {
    const deadline = Date.now() + SILENCE_MAX_MS;
    while (waiting.length === 0) {
      const left = deadline - Date.now();
      if (left <= 0) return { type: "closed", code: 1006, reason: "no sign of life" };
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
    return waiting.shift() as Heard;
  };
}

function eventOf<Answer>(
  operation: Operation<Answer, never>,
  standing: Standing,
  payload: { data?: Record<string, { cursor?: string }>; errors?: readonly GraphQLError[] },
): Answer {
  if (payload.errors !== undefined && payload.errors.length > 0) throw new OperationFailed(payload.errors, payload.data);
  const data = payload.data?.[operation.field];
  standing.cursor = data?.cursor ?? standing.cursor;
  return data as Answer;
}

/** Says whether to subscribe once more with the whole document; throws what else the errors mean. */
function refusal(errors: readonly GraphQLError[], standing: Standing): boolean {
  const code = codeOf(errors[0]);
  if (code === "PERSISTED_QUERY_NOT_FOUND" && standing.named) {
    standing.named = false;
    return true;
  }
  if (code === "STREAM_OVERFLOW" || NOT_EXECUTED.has(code)) {
    standing.cursor = (errors[0]?.extensions?.["cursor"] as string | undefined) ?? standing.cursor;
  }
  if (code === "STREAM_OVERFLOW") {
    throw new Interrupted({ reason: code, code, perhapsExecuted: false });
  }
  if (NOT_EXECUTED.has(code)) {
    const reason = errors[0]?.message ?? code;
    throw new Interrupted({ reason, code, perhapsExecuted: false, retryAfterMs: retryAfterMs(errors[0]) });
  }
  throw new OperationFailed(errors);
}

async function answerPing(
  socket: Socket,
  payload: { reconnectAfterMs?: number; expiresInMs?: number } | undefined,
  line: Line,
  standing: Standing,
  token: string | undefined,
): Promise<void> {
  say(socket, { type: "pong" });
  standing.reconnectAfterMs = payload?.reconnectAfterMs ?? standing.reconnectAfterMs;
  if (payload?.expiresInMs !== undefined && token !== undefined) {
    // Where there is no newer token, the connection goes on until this one expires.
    const newer = await line.token(token).catch(() => undefined);
    if (newer !== undefined) say(socket, { type: "ping", payload: { authorization: `Bearer ${newer}` } });
  }
}

function over(closed: { readonly code: number; readonly reason: string }, standing: Standing): Error {
  const reason = `${closed.code} ${closed.reason}`.trimEnd();
  if (HOPELESS.has(closed.code)) return new StreamEnded(reason, standing.cursor);
  const after = standing.reconnectAfterMs;
  standing.reconnectAfterMs = undefined;
  return new Interrupted({ reason, perhapsExecuted: false, retryAfterMs: after }, closed.code === NOT_SIGNED_IN);
}

function say(socket: Socket, message: object): void {
  socket.send(JSON.stringify(message));
}
