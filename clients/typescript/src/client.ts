// The client: queries and mutations over HTTP, subscriptions over WebSockets.

import { AnswerUnreadable, OperationFailed, ServerUnavailable, codeOf } from "./errors.js";
import { USUAL, sleep, troubleOf, waitMs, type Retry, type Trouble } from "./retrying.js";
import { events, type SocketMaker } from "./streams.js";
import type { Fetch, Tokens } from "./tokens.js";
import { withKey, type GraphQLError, type Operation } from "./wire.js";

const PATH = "/graphql";
const ACCEPT = "application/graphql-response+json, application/json;q=0.9";
const UNAUTHORIZED = 401;
const TIMEOUT_MS = 30_000;
const RENEWABLE: ReadonlySet<string> = new Set(["TOKEN_EXPIRED", "TOKEN_INVALID", "SESSION_ENDED"]);

export interface Options {
  readonly tokens?: Tokens;
  /** The language of messages. */
  readonly locale?: "zh-CN" | "en";
  readonly retry?: Partial<Retry>;
  readonly timeoutMs?: number;
  readonly fetch?: Fetch;
  /** The class of sockets where the platform has none of its own, as Node before 22: `ws`. */
  readonly webSocket?: SocketMaker;
}

interface Body {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly GraphQLError[];
}

/**
 * Asks as one client of the service. Documents are named by their hash, and sent whole to a server that does not know
 * them. What may have been executed is sent again only where it is a query or has an idempotency key.
 */
export class YoukaClient {
  private readonly url: string;
  private readonly retry: Retry;
  private readonly fetch: Fetch;
  private readonly unknown = new Set<string>();

  constructor(
    url: string,
    private readonly options: Options = {},
  ) {
    this.url = url.replace(/\/+$/, "");
    this.retry = { ...USUAL, ...options.retry };
    this.fetch = options.fetch ?? ((target, init) => fetch(target, init));
  }

  /** Returns the answer of a query or a mutation. Typed errors of a payload are answers; what else fails is thrown. */
  async run<Answer, Variables extends object>(
    operation: Operation<Answer, Variables>,
    variables: Variables,
  ): Promise<Answer> {
    const given = withKey(operation, variables);
    for (let failures = 1; ; failures++) {
      const outcome = await this.attempt(operation, given);
      if ("data" in outcome) return outcome.data[operation.field] as Answer;
      const wait = waitMs(this.retry, failures, outcome);
      const repeatable = operation.kind === "query" || operation.key !== undefined || !outcome.perhapsExecuted;
      if (!repeatable || failures >= this.retry.attemptsMax || wait > this.retry.waitMaxMs) {
        throw new ServerUnavailable(outcome.reason, outcome.code, outcome.retryAfterMs);
      }
      await sleep(wait);
    }
  }

  /**
   * Yields the events of a subscription, and goes on where it stood after a connection is lost. Leaving the loop ends
   * it. Throws OperationFailed, StreamEnded or SignInFailed.
   */
  subscribe<Answer, Variables extends object>(
    operation: Operation<Answer, Variables>,
    variables: Variables,
  ): AsyncGenerator<Answer, void, undefined> {
    return events<Answer>(operation, variables as Record<string, unknown>, {
      url: this.url.replace(/^http/, "ws") + PATH,
      token: (refused) => this.token(refused),
      locale: this.options.locale ?? "zh-CN",
      retry: this.retry,
      webSocket: this.options.webSocket ?? WebSocket,
    });
  }

  private async token(refused?: string): Promise<string | undefined> {
    return this.options.tokens?.token(this.url, this.fetch, refused);
  }

  /** Sends the operation once, or twice where its hash or the token were the only trouble. */
  private async attempt(
    operation: Operation<unknown, never>,
    variables: Record<string, unknown>,
  ): Promise<{ data: Record<string, unknown> } | Trouble> {
    let token = await this.token();
    let renewed = false;
    for (;;) {
      let answer: Response;
      try {
        answer = await this.post(operation, variables, token);
      } catch (error) {
        return { reason: String(error), perhapsExecuted: true };
      }
      const body = await bodyOf(answer);
      const errors = body.errors ?? [];
      const codes = new Set(errors.map(codeOf));
      if (codes.has("PERSISTED_QUERY_NOT_FOUND") && !this.unknown.has(operation.sha256)) {
        this.unknown.add(operation.sha256);
      } else if (answer.status === UNAUTHORIZED && token !== undefined && !renewed && anyOf(codes, RENEWABLE)) {
        renewed = true;
        token = await this.token(token);
      } else {
        const trouble = troubleOf(answer.status, answer.headers.get("retry-after"), errors);
        if (trouble !== undefined) return trouble;
        if (errors.length > 0 || !body.data) throw new OperationFailed(errors, body.data);
        return { data: body.data };
      }
    }
  }

  private post(
    operation: Operation<unknown, never>,
    variables: Record<string, unknown>,
    token: string | undefined,
  ): Promise<Response> {
    const whole = this.unknown.has(operation.sha256);
    const named = whole ? { query: operation.text } : { documentId: `sha256:${operation.sha256}` };
    return this.fetch(this.url + PATH, {
      method: "POST",
      headers: {
        accept: ACCEPT,
        "content-type": "application/json",
        "accept-language": this.options.locale ?? "zh-CN",
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify({ ...named, variables }),
      signal: AbortSignal.timeout(this.options.timeoutMs ?? TIMEOUT_MS),
    });
  }
}

function anyOf(some: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  return [...some].some((each) => others.has(each));
}

/** Returns the answer as GraphQL; what stands before the server may refuse in its own words. */
async function bodyOf(answer: Response): Promise<Body> {
  const body: unknown = await answer.json().catch(() => null);
  if (typeof body === "object" && body !== null && ("data" in body || "errors" in body)) return body as Body;
  if (answer.ok) throw new AnswerUnreadable(`HTTP ${answer.status} is no answer of GraphQL`);
  return { errors: [{ message: answer.statusText }] };
}
