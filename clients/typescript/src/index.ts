// A typed client of Youka's GraphQL for partners. `npm run build` compiles it; it has no dependencies.

export { YoukaClient, type Options } from "./client.js";
export {
  AnswerUnreadable,
  OperationFailed,
  ServerUnavailable,
  SignInFailed,
  StreamEnded,
  YoukaClientError,
} from "./errors.js";
export * from "./generated/operations.js";
export type { Retry } from "./retrying.js";
export { ClientCredentials, FixedToken, thumbprint, type Tokens } from "./tokens.js";
export { isRefusal, newKey, type GraphQLError, type Operation, type Refusal, type Unknown } from "./wire.js";
