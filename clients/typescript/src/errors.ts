// What may go wrong. Typed errors of a payload are answers and not here.

import type { GraphQLError } from "./wire.js";

/** Whatever this client throws. */
export class YoukaClientError extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** No token was given; `error` is that of RFC 6749, such as `invalid_client`. */
export class SignInFailed extends YoukaClientError {
  constructor(
    readonly error: string,
    readonly description: string,
  ) {
    super(`${error}: ${description}`);
  }
}

/**
 * The server could not be asked, or gave no answer, as often as the client may try. `code` is the last one that it has
 * given, such as `RATE_LIMITED`; what has an idempotency key may be asked again with it.
 */
export class ServerUnavailable extends YoukaClientError {
  constructor(
    message: string,
    readonly code: string | undefined,
    readonly retryAfterMs: number | undefined,
  ) {
    super(message);
  }
}

/** What was answered is not GraphQL: perhaps the address is another server's. */
export class AnswerUnreadable extends YoukaClientError {}

/** The answer has errors that are none of the payload's; `data` is what there is beside them. */
export class OperationFailed extends YoukaClientError {
  readonly code: string;

  constructor(
    readonly errors: readonly GraphQLError[],
    readonly data: unknown = null,
  ) {
    super(errors.map((each) => `${codeOf(each)}: ${each.message}`).join("; "));
    this.code = codeOf(errors[0]);
  }
}

/** A subscription cannot go on; `cursor` is where to begin again. */
export class StreamEnded extends YoukaClientError {
  constructor(
    reason: string,
    readonly cursor: string | undefined,
  ) {
    super(reason);
  }
}

export function codeOf(error: GraphQLError | undefined): string {
  return error?.extensions?.code ?? "";
}
