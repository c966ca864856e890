// What the generated half of the client is made of.

/** One document. `field` is its root field, `key` the variable that is its idempotency key, `sha256` names it to the server. */
export interface Operation<Answer, Variables> {
  readonly name: string;
  readonly kind: "query" | "mutation" | "subscription";
  readonly field: string;
  readonly key?: string;
  readonly sha256: string;
  readonly text: string;
  /** Only there for the compiler. */
  readonly answer?: (variables: Variables) => Answer;
}

/** A typed error of a payload: one of the answers, not an exception. `message` is for people. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
}

/** A member of a payload that is newer than this client: have a default for it. */
export interface Unknown {
  readonly __typename: "%other";
}

/** An error of GraphQL. */
export interface GraphQLError {
  readonly message: string;
  readonly extensions?: { readonly code?: string; readonly [name: string]: unknown };
}

/** Says whether an answer is a typed error. */
export function isRefusal<Answer extends object>(answer: Answer): answer is Extract<Answer, Refusal> {
  return "code" in answer && "message" in answer;
}

/** Returns a new idempotency key. */
export function newKey(): string {
  return crypto.randomUUID().replaceAll("-", "");
}

/** Returns the variables that are sent: an idempotency key is made where it is missing, the same for every attempt. */
export function withKey(operation: Operation<unknown, never>, variables: object): Record<string, unknown> {
  const given = variables as Record<string, unknown>;
  if (operation.key === undefined || given[operation.key] !== undefined) return given;
  return { ...given, [operation.key]: newKey() };
}
