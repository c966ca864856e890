// When to ask again, and after how long.

import { codeOf } from "./errors.js";
import type { GraphQLError } from "./wire.js";

/** Nothing was executed where these are answered, so that everything may be asked again. */
export const NOT_EXECUTED: ReadonlySet<string> = new Set([
  "RATE_LIMITED",
  "CONNECTION_LIMIT_REACHED",
  "SERVER_RESTARTING",
  "TOO_MANY_MESSAGES",
]);
/** Something may have been executed, so that only what is idempotent is asked again. */
const PERHAPS_EXECUTED: ReadonlySet<string> = new Set(["INTERNAL", "OPERATION_TIMED_OUT"]);
const UNAVAILABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const SERVER_ERROR = 500;

/** How often something is tried; the wait doubles from `baseMs`, or is as long as the server says, up to `waitMaxMs`. */
export interface Retry {
  readonly attemptsMax: number;
  readonly baseMs: number;
  readonly waitMaxMs: number;
}

export const USUAL: Retry = { attemptsMax: 5, baseMs: 200, waitMaxMs: 30_000 };

/** Why something was not answered. */
export interface Trouble {
  readonly reason: string;
  readonly code?: string | undefined;
  readonly perhapsExecuted: boolean;
  readonly retryAfterMs?: number | undefined;
}

/** Returns what is wrong for now with an answer; undefined where it is one to stay with. */
export function troubleOf(status: number, header: string | null, errors: readonly GraphQLError[]): Trouble | undefined {
  const code = codeOf(errors[0]);
  const reason = `HTTP ${status} ${errors[0]?.message ?? ""}`.trimEnd();
  const after = retryAfterMs(errors[0], header);
  if (NOT_EXECUTED.has(code) || (UNAVAILABLE.has(status) && after !== undefined)) {
    return { reason, code, perhapsExecuted: false, retryAfterMs: after };
  }
  if (PERHAPS_EXECUTED.has(code) || status >= SERVER_ERROR) {
    return { reason, code, perhapsExecuted: true, retryAfterMs: after };
  }
  return undefined;
}

/** Returns how long the server wants to be left alone, by an error or by the header. */
export function retryAfterMs(error: GraphQLError | undefined, header: string | null = null): number | undefined {
  const given = error?.extensions?.["retryAfterMs"];
  if (typeof given === "number") return Math.max(0, given);
  return header !== null && /^[0-9]+$/.test(header) ? Number(header) * 1_000 : undefined;
}

/** Returns how long to wait after so many failures in a row. */
export function waitMs(retry: Retry, failures: number, trouble: Trouble): number {
  const longest = Math.min(retry.waitMaxMs, retry.baseMs * 2 ** Math.min(failures, 30));
  return Math.max(trouble.retryAfterMs ?? 0, longest * (0.5 + Math.random() / 2));
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
